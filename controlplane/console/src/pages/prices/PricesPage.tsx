// What tokens cost: the catalogue in force, and what this gateway sets in its place.
import { BadgeDollarSign, Pencil, Plus, RefreshCw } from "lucide-react";
import { prices as api } from "@/api/api";
import { allPages } from "@/api/pages";
import type { ModelPrice, PriceCatalogueStatus } from "@/api/types";
import { useApi, useRefresh, type ApiData } from "@/api/useApi";
import type { PageProps } from "@/app/pages";
import { useFilters } from "@/app/useFilters";
import { useQueryState } from "@/app/useQueryState";
import { Badge } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { useConfirm } from "@/ui/Confirm";
import { Facts } from "@/ui/Facts";
import { Filters, SelectFilter, TextFilter } from "@/ui/Filters";
import { formatCount, formatNanos, formatSeconds } from "@/ui/format";
import { Card, Page } from "@/ui/Page";
import { Pager } from "@/ui/Pager";
import { RoleNote, useWhyNot } from "@/ui/RoleNote";
import { Empty, Loading, Notice, WithData } from "@/ui/States";
import { Table, type Column } from "@/ui/Table";
import { Ago } from "@/ui/Time";
import { useToast } from "@/ui/Toast";
import { useAction } from "@/ui/useAction";
import { PriceDialog } from "./PriceDialog";
import css from "./Prices.module.css";

const kPageSize = 50;
const kNew = "new";

export default function PricesPage({ gateway }: PageProps) {
  const data = useApi(
    ["prices", gateway],
    (signal) => allPages((pageToken) => api.list(gateway, { pageSize: 1000, pageToken }, signal), (answer) => answer.prices),
    { pollMs: 30_000 },
  );
  const catalogue = useApi(["catalogue"], (signal) => api.catalogue(signal), { pollMs: 10_000 });
  const [edit, setEdit] = useQueryState("edit");
  const whyNot = useWhyNot("admin");
  const edited = data.data?.find((price) => idOf(price) === edit);
  return (
    <Page
      title="Prices"
      lead="Dollars per million tokens, of the models of this gateway's providers."
      actions={
        <Button icon={<Plus />} disabled={whyNot !== undefined} title={whyNot} onClick={() => setEdit(kNew)}>
          Set a price
        </Button>
      }
    >
      <RoleNote needed="admin" what="Setting a price or refreshing the catalogue" />
      <Card title="Catalogue" actions={<Refreshing gateway={gateway} status={catalogue.data} whyNot={whyNot} />}>
        <Catalogue data={catalogue} />
      </Card>
      <Card flush label="Prices">
        <WithData data={data} what="the prices" loading={<Loading rows={8} />}>
          {(all) =>
            all.length === 0 ? (
              <Empty icon={<BadgeDollarSign />} title="No price is known">Add a provider: the catalogue has prices for the well-known ones. Any other can be set here.</Empty>
            ) : (
              <PriceList all={all} catalogue={catalogue.data} whyNot={whyNot} onEdit={(price) => setEdit(idOf(price))} />
            )
          }
        </WithData>
      </Card>
      {whyNot === undefined && (edit === kNew || edited) && <PriceDialog key={edit} gateway={gateway} price={edited} onClose={() => setEdit("")} />}
    </Page>
  );
}

const idOf = (price: ModelPrice) => `${price.provider}/${price.model}`;
const isOwn = (price: ModelPrice, catalogue: PriceCatalogueStatus | undefined) => catalogue !== undefined && price.source !== catalogue.source;

function Catalogue({ data }: { data: ApiData<PriceCatalogueStatus> }) {
  return (
    <WithData data={data} what="the catalogue's state" loading={<Loading rows={2} />}>
      {(status) => (
        <div className={css.catalogue}>
          <Facts
            facts={[
              { name: "In force", value: `${status.source}${status.bundled ? ", of the build" : ""}` },
              { name: "Models", value: formatCount(status.models) },
              !status.bundled && { name: "In force since", value: <Ago us={status.updateUs} /> },
              { name: "Last refresh", value: <Ago us={status.lastRefreshUs} /> },
              {
                name: "Next refresh",
                value: status.refreshUrl === "" ? <span className="muted">off: started without a price URL</span> : <Ago us={status.nextRefreshUs} />,
              },
              status.refreshUrl !== "" && { name: "From", value: <span className="wrap-anywhere">{`${status.refreshUrl}, every ${formatSeconds(Number(status.refreshIntervalS))}`}</span> },
            ]}
          />
          {status.lastError !== "" && <Notice tone="bad">The last refresh changed nothing: {status.lastError}</Notice>}
        </div>
      )}
    </WithData>
  );
}

function Refreshing({ gateway, status, whyNot }: { gateway: string; status?: PriceCatalogueStatus; whyNot?: string }) {
  const refresh = useRefresh();
  const toast = useToast();
  const confirm = useConfirm();
  const done = async (text: string) => {
    await Promise.all([refresh(["catalogue"]), refresh(["prices", gateway])]);
    toast.say(text);
  };
  const now = useAction(
    async () => {
      const after = await api.refresh();
      await done(`${formatCount(after.models)} models are in force.`);
    },
    () => {
      void refresh(["catalogue"]);
      return false;
    },
  );
  const bundled = useAction(async () => {
    const yes = await confirm({ title: "Go back to the catalogue of the build?", body: "It holds until the next refresh.", action: "Go back" });
    if (!yes) return;
    await api.refresh({ bundled: true });
    await done("The catalogue of the build is in force.");
  });
  const off = status !== undefined && status.refreshUrl === "" ? "The control plane was started without a price URL." : undefined;
  return (
    <>
      {status && !status.bundled && (
        <Button small kind="quiet" busy={bundled.busy} disabled={whyNot !== undefined} title={whyNot} onClick={() => void bundled.start()}>
          Use the build's
        </Button>
      )}
      <Button small icon={<RefreshCw />} busy={now.busy} disabled={whyNot !== undefined || off !== undefined} title={whyNot ?? off} onClick={() => void now.start()}>
        Refresh now
      </Button>
    </>
  );
}

function PriceList({
  all,
  catalogue,
  whyNot,
  onEdit,
}: {
  all: ModelPrice[];
  catalogue?: PriceCatalogueStatus;
  whyNot?: string;
  onEdit: (price: ModelPrice) => void;
}) {
  const { values, set } = useFilters(["q", "provider", "from", "page"] as const);
  const wanted = values.q.trim().toLowerCase();
  const found = all.filter(
    (price) =>
      (wanted === "" || idOf(price).toLowerCase().includes(wanted)) &&
      (values.provider === "" || price.provider === values.provider) &&
      (values.from === "" || (values.from === "own") === isOwn(price, catalogue)),
  );
  const providers = [...new Set(all.map((price) => price.provider))].map((name) => ({ value: name, label: name }));
  const page = Math.max(0, Math.min(Number(values.page) - 1 || 0, Math.ceil(found.length / kPageSize) - 1));
  const dollars = (nanos: string | undefined) => (nanos === undefined ? <span className="muted">as input</span> : formatNanos(nanos));
  const columns: Column<ModelPrice>[] = [
    {
      key: "model",
      head: "Model",
      grow: true,
      cell: (price) => (
        <span className={css.model}>
          <span>
            <span className="muted">{price.provider}/</span>
            {price.model}
          </span>
          {price.tiers.length > 0 && <Badge title={`Other rates above ${price.tiers.map((tier) => formatCount(tier.aboveInputTokens)).join(", ")} input tokens`}>tiers</Badge>}
          {price.times.length > 0 && <Badge title="Other rates at some times">by time</Badge>}
        </span>
      ),
    },
    { key: "in", head: "Input", align: "right", cell: (price) => formatNanos(price.inputNanosPerMtok) },
    { key: "cached", head: "Cached input", align: "right", narrowHide: true, cell: (price) => dollars(price.cachedInputNanosPerMtok) },
    { key: "write", head: "Cache write", align: "right", narrowHide: true, cell: (price) => dollars(price.cacheWriteNanosPerMtok) },
    { key: "out", head: "Output", align: "right", cell: (price) => formatNanos(price.outputNanosPerMtok) },
    { key: "max", head: "Most output", align: "right", narrowHide: true, cell: (price) => (price.maxOutputTokens === "0" ? <span className="muted">unknown</span> : formatCount(price.maxOutputTokens)) },
    { key: "from", head: "From", narrowHide: true, cell: (price) => (isOwn(price, catalogue) ? <Badge tone="accent">{price.source || "set here"}</Badge> : <span className={css.source}>{price.source}</span>) },
    {
      key: "actions",
      head: <span className="visually-hidden">Actions</span>,
      align: "right",
      cell: (price) => (
        <Button small kind="quiet" icon={<Pencil />} disabled={whyNot !== undefined} title={whyNot} aria-label={`Override the price of ${idOf(price)}`} onClick={() => onEdit(price)}>
          Override
        </Button>
      ),
    },
  ];
  return (
    <>
      <Filters label="Find a price" aside={<span className="muted small num" aria-live="polite">{found.length === all.length ? `${all.length} prices` : `${found.length} of ${all.length}`}</span>}>
        <TextFilter label="Model" value={values.q} onChange={(q) => set({ q, page: "" })} />
        <SelectFilter label="Provider" value={values.provider} choices={providers} onChange={(provider) => set({ provider, page: "" })} />
        <SelectFilter
          label="From"
          value={values.from}
          choices={[
            { value: "catalogue", label: "the catalogue" },
            { value: "own", label: "set here" },
          ]}
          onChange={(from) => set({ from, page: "" })}
        />
      </Filters>
      {found.length === 0 ? (
        <Empty icon={<BadgeDollarSign />} title="No price fits">Remove a filter, or set the price yourself.</Empty>
      ) : (
        <Table caption="Prices, dollars per million tokens" columns={columns} rows={found.slice(page * kPageSize, (page + 1) * kPageSize)} rowKey={idOf} />
      )}
      <Pager page={page} size={kPageSize} total={found.length} onPage={(next) => set({ page: String(next + 1) })} />
    </>
  );
}
