// A new route: its name, and what to begin with. It is saved at once as version 1, which serves nothing.
import { useRef, useState } from "react";
import { useLocation } from "wouter";
import { routes as api } from "@/api/api";
import { useRefresh } from "@/api/useApi";
import type { PageProps } from "@/app/pages";
import { paths } from "@/app/paths";
import { fromTemplate, kTemplates } from "@/graph/templates";
import { parseGraph, serialise } from "@/graph/model";
import { Button } from "@/ui/Button";
import { Field, TextInput } from "@/ui/Field";
import { Card, Page } from "@/ui/Page";
import { messageOf } from "@/ui/Toast";
import { useAction } from "@/ui/useAction";
import css from "./routes.module.css";

export default function NewRoutePage({ gateway }: PageProps) {
  const [, navigate] = useLocation();
  const refresh = useRefresh();
  const [name, setName] = useState("");
  const [choice, setChoice] = useState("empty");
  const [imported, setImported] = useState<{ file: string; text: string } | null>(null);
  const [error, setError] = useState("");
  const file = useRef<HTMLInputElement>(null);

  const create = useAction(
    async () => {
      const json = choice === "import" && imported ? named(imported.text, name) : fromTemplate(templateOf(choice), name.trim());
      const comment = choice === "import" ? `imported from ${imported?.file}` : `from the template “${templateOf(choice).label}”`;
      const { route } = await api.create(gateway, { json, comment, allowDraft: true });
      await refresh(["routes", gateway]);
      navigate(paths.route(gateway, route.name));
    },
    (failure) => {
      setError(messageOf(failure));
      return true;
    },
  );

  const read = async (picked: File | undefined) => {
    if (!picked) return;
    const text = await picked.text();
    const parsed = parseGraph(text);
    if (!parsed.graph) return setError(`${picked.name}: ${parsed.error}`);
    setError("");
    setImported({ file: picked.name, text });
    setChoice("import");
    setName(parsed.graph.name);
  };

  return (
    <Page title="New route" crumbs={[{ label: "Routes", href: paths.routes(gateway) }]}>
      <Card>
        <form
          className={css.form}
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            if (name.trim() === "") return setError("Give the route a name.");
            void create.start();
          }}
        >
          <Field
            label="Name"
            error={error}
            hint={
              <>
                Clients call the route as <code>dynamic/{name.trim() || "<name>"}</code>
              </>
            }
          >
            <TextInput autoFocus name="name" placeholder="my-trillion-dollar-saas" value={name} onChange={(event) => setName(event.target.value)} />
          </Field>
          <fieldset>
            <legend className={css.legend}>Begin with</legend>
            <div className={css.templates}>
              {kTemplates.map((template) => (
                <TemplateChoice
                  key={template.id}
                  label={template.label}
                  about={template.about}
                  checked={choice === template.id}
                  onPick={() => setChoice(template.id)}
                />
              ))}
              <TemplateChoice
                label="A file"
                about={imported ? `${imported.file} is kept byte for byte.` : "JSON exported here or from Cloudflare AI Gateway."}
                checked={choice === "import"}
                onPick={() => (imported ? setChoice("import") : file.current?.click())}
              />
            </div>
            <input
              ref={file}
              type="file"
              accept="application/json,.json"
              className="visually-hidden"
              tabIndex={-1}
              aria-label="A route's JSON file"
              onChange={(event) => void read(event.target.files?.[0])}
            />
          </fieldset>
          <div>
            <Button type="submit" kind="primary" busy={create.busy}>
              Create the route
            </Button>
          </div>
        </form>
      </Card>
    </Page>
  );
}

const templateOf = (id: string) => kTemplates.find((template) => template.id === id) ?? kTemplates[0]!;

// The file as it is, unless it is to have another name.
function named(text: string, name: string): string {
  const { graph } = parseGraph(text);
  return graph && graph.name !== name.trim() ? serialise({ ...graph, name: name.trim() }) : text;
}

function TemplateChoice({ label, about, checked, onPick }: { label: string; about: string; checked: boolean; onPick: () => void }) {
  return (
    <label className={css.template}>
      <input type="radio" name="template" checked={checked} onChange={onPick} />
      <span>
        <span className={css.templateName}>{label}</span>
        <span className={css.templateAbout}>{about}</span>
      </span>
    </label>
  );
}
