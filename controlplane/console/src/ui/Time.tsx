import { useEffect, useState } from "react";
import type { Int64, Timestamp } from "@/api/types";
import { formatAgo, formatTime, fromMicros } from "./format";

// "3 minutes ago", with the full time on hover; it keeps up by itself.
export function Ago({ time, us }: { time?: Timestamp; us?: Int64 }) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((count) => count + 1), 10_000);
    return () => clearInterval(timer);
  }, []);
  const date = time !== undefined ? new Date(time) : us !== undefined && us !== "0" ? fromMicros(us) : null;
  if (date === null || Number.isNaN(date.getTime())) return <span className="muted">never</span>;
  return (
    <time dateTime={date.toISOString()} title={formatTime(date)}>
      {formatAgo(date)}
    </time>
  );
}
