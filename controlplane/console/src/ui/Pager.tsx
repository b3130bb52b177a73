import { ChevronLeft, ChevronRight } from "lucide-react";
import { IconButton } from "./Button";
import css from "./Pager.module.css";

// Pages of a list that is there as a whole.
export function Pager({ page, size, total, onPage }: { page: number; size: number; total: number; onPage: (page: number) => void }) {
  if (total <= size) return null;
  const last = Math.ceil(total / size) - 1;
  return (
    <nav className={css.pager} aria-label="Pages of the list">
      <span className="muted small num">
        {page * size + 1} to {Math.min(total, (page + 1) * size)} of {total}
      </span>
      <IconButton small label="Previous page" icon={<ChevronLeft />} disabled={page === 0} onClick={() => onPage(page - 1)} />
      <IconButton small label="Next page" icon={<ChevronRight />} disabled={page >= last} onClick={() => onPage(page + 1)} />
    </nav>
  );
}
