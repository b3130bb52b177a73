// A secret that is shown once, with a button that copies it.
import { Check, Copy } from "lucide-react";
import { useState } from "react";
import { Button } from "./Button";
import css from "./Secret.module.css";

export function CopyButton({ text, label = "Copy", small }: { text: string; label?: string; small?: boolean }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 2_000);
  };
  return (
    <Button small={small} icon={copied ? <Check /> : <Copy />} onClick={() => void copy()}>
      <span aria-live="polite">{copied ? "Copied" : label}</span>
    </Button>
  );
}

export function Secret({ text, label }: { text: string; label: string }) {
  return (
    <div className={css.secret}>
      <code aria-label={label}>{text}</code>
      <CopyButton text={text} small />
    </div>
  );
}
