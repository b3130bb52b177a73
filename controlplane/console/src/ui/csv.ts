// Comma-separated values as spreadsheets read them (RFC 4180). Text that a spreadsheet would run as a formula gets an
// apostrophe in front, so that an identifier of a client's choosing stays text; figures are written as they are.
export interface Figure {
  figure: string;
}
export type CsvCell = string | Figure;

export const figure = (value: string | number | bigint): Figure => ({ figure: String(value) });

export function csvField(cell: CsvCell): string {
  if (typeof cell !== "string") return cell.figure;
  const safe = /^[\s]*[=+\-@\t\r|%]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(safe) || safe !== safe.trim() ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function toCsv(head: readonly string[], rows: readonly (readonly CsvCell[])[]): string {
  return [head, ...rows].map((row) => row.map(csvField).join(",")).join("\r\n") + "\r\n";
}
