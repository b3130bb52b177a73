// Pages of a list that the server hands out from newest to oldest, by tokens. The page shown is in the address; the way
// back is the browser's and this button's.
import { ChevronLeft, ChevronRight } from "lucide-react";
import { useState } from "react";
import { Button } from "./Button";
import css from "./Pager.module.css";

export function TokenPager({
  token,
  next,
  onToken,
  newer = "Newer",
  older = "Older",
}: {
  token: string;
  next: string;
  onToken: (token: string) => void;
  newer?: string;
  older?: string;
}) {
  const [before, setBefore] = useState<string[]>([]);
  if (token === "" && !next) return null;
  return (
    <nav className={css.pager} aria-label="Pages of the list">
      <Button
        small
        kind="quiet"
        icon={<ChevronLeft />}
        disabled={token === ""}
        onClick={() => {
          onToken(before.at(-1) ?? "");
          setBefore(before.slice(0, -1));
        }}
      >
        {newer}
      </Button>
      <Button
        small
        kind="quiet"
        disabled={!next}
        onClick={() => {
          setBefore([...before, token]);
          onToken(next);
        }}
      >
        {older}
        <ChevronRight aria-hidden="true" />
      </Button>
    </nav>
  );
}
