// When each attempt began, how long its first byte took, how long it streamed: bars on the request's own time.
import type { Attempt, SpendRecord } from "@/api/types";
import { exactNanos, formatMicros, formatNanos } from "@/ui/format";
import css from "./Requests.module.css";

const failed = (attempt: Attempt) => attempt.error !== "" || attempt.status < 200 || attempt.status >= 300;

export function Waterfall({ record }: { record: SpendRecord }) {
  const ends = record.attempts.map((attempt) => Number(attempt.startUs) + Number(attempt.durationUs));
  const whole = Math.max(Number(record.durationUs), ...ends, 1);
  const percent = (us: number) => `${(us / whole) * 100}%`;
  return (
    <>
      <ol className={css.waterfall}>
        {record.attempts.map((attempt, index) => {
          const start = Number(attempt.startUs);
          const duration = Number(attempt.durationUs);
          const waited = attempt.firstByteUs === "0" ? duration : Math.min(duration, Number(attempt.firstByteUs));
          const text = [
            attempt.error || `status ${attempt.status}`,
            `from ${formatMicros(start)}`,
            attempt.firstByteUs !== "0" && `first byte after ${formatMicros(waited)}`,
            `took ${formatMicros(duration)}`,
          ].filter(Boolean);
          return (
            <li key={index}>
              <div className={css.attemptHead}>
                <span className={css.attemptName}>
                  {attempt.provider}/{attempt.model}
                  {attempt.endpoint && <span className="muted"> at {attempt.endpoint}</span>}
                </span>
                <span className={css.attemptNote} title={`$${exactNanos(attempt.costNanos)}`}>
                  {attempt.estimated ? "≈ " : ""}
                  {formatNanos(attempt.costNanos)}
                </span>
              </div>
              <p className={css.attemptNote}>{text.join(", ")}</p>
              <div className={css.track} data-failed={failed(attempt)} aria-hidden="true">
                <span className={css.waited} style={{ left: percent(start), width: percent(waited) }} />
                <span className={css.streamed} style={{ left: percent(start + waited), width: percent(duration - waited) }} />
              </div>
            </li>
          );
        })}
      </ol>
      <div className={css.scale} aria-hidden="true">
        <span>0</span>
        <span>{formatMicros(whole)}</span>
      </div>
      <ul className={css.legend} aria-hidden="true">
        <li>
          <span style={{ background: "var(--chart-6)" }} /> until the first byte
        </li>
        <li>
          <span style={{ background: "var(--chart-1)" }} /> the answer
        </li>
        <li>
          <span style={{ background: "var(--bad)" }} /> failed
        </li>
      </ul>
    </>
  );
}
