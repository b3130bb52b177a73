// How full something is: a bar and its percentage. `part` may pass 1; the bar then is full and says so by colour.
import { formatPercent } from "./format";
import css from "./Meter.module.css";

export function Meter({ part, label, shadow }: { part: number; label: string; shadow?: boolean }) {
  const tone = shadow ? css.shadow : part >= 1 ? css.bad : part >= 0.8 ? css.warn : css.ok;
  return (
    <span className={css.meter}>
      <span
        className={css.track}
        role="meter"
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(Math.min(1, part) * 100)}
        aria-valuetext={formatPercent(part)}
      >
        <span className={`${css.fill} ${tone}`} style={{ width: `${Math.min(100, part * 100)}%` }} />
      </span>
      <span className={css.value}>{formatPercent(part, part < 0.1 ? 1 : 0)}</span>
    </span>
  );
}
