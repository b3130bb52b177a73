// The route as text, edited both ways: what reads becomes the graph at once, what does not yet says why.
import { useEffect, useRef } from "react";
import { editText } from "@/graph/document";
import { Notice } from "@/ui/States";
import { TextArea } from "@/ui/Field";
import css from "./JsonView.module.css";
import type { RouteEditor } from "./useRouteDocument";

export function JsonView({ editor, readOnly }: { editor: RouteEditor; readOnly: boolean }) {
  const { text, doc, change } = editor;
  const numbers = useRef<HTMLPreElement>(null);
  const area = useRef<HTMLDivElement>(null);
  const lines = text.split("\n").length;
  useEffect(() => {
    const element = area.current?.querySelector("textarea");
    const follow = () => {
      if (numbers.current && element) numbers.current.scrollTop = element.scrollTop;
    };
    element?.addEventListener("scroll", follow);
    return () => element?.removeEventListener("scroll", follow);
  }, []);
  return (
    <div className={css.view}>
      {doc.unreadable && (
        <div className={css.notice}>
          <Notice tone="bad" live>
            {doc.unreadable}
          </Notice>
        </div>
      )}
      <div className={css.editor} ref={area}>
        <pre ref={numbers} className={css.numbers} aria-hidden="true">
          {Array.from({ length: lines }, (_, index) => index + 1).join("\n")}
        </pre>
        <TextArea
          mono
          aria-label="The route as JSON"
          className={css.text}
          wrap="off"
          readOnly={readOnly}
          value={text}
          onChange={(event) => change((before) => editText(before, event.target.value), "json")}
        />
      </div>
      <p className={css.hint}>Saved and exported exactly as it stands here.</p>
    </div>
  );
}
