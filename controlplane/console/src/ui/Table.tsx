// A plain table with aligned numbers, that scrolls sideways on narrow windows. `caption` is read, not shown.
import type { ReactNode } from "react";
import css from "./Table.module.css";

export interface Column<Row> {
  key: string;
  head: ReactNode;
  cell: (row: Row) => ReactNode;
  align?: "left" | "right";
  grow?: boolean;
  narrowHide?: boolean;
}

export function Table<Row>({
  caption,
  columns,
  rows,
  rowKey,
  isSelected,
  onRowClick,
}: {
  caption: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
  isSelected?: (row: Row) => boolean;
  onRowClick?: (row: Row) => void;
}) {
  const classOf = (column: Column<Row>) =>
    [column.align === "right" ? css.right : "", column.grow ? css.grow : "", column.narrowHide ? css.narrowHide : ""].join(" ");
  return (
    <div className={css.scroll} tabIndex={0} role="group" aria-label={caption}>
      <table className={css.table}>
        <caption className="visually-hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.key} scope="col" className={classOf(column)}>
                {column.head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr
              key={rowKey(row)}
              className={`${isSelected?.(row) ? css.selected : ""} ${onRowClick ? css.clickable : ""}`}
              onClick={onRowClick && (() => onRowClick(row))}
            >
              {columns.map((column) => (
                <td key={column.key} className={classOf(column)}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
