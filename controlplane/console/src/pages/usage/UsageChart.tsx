// Amounts over time: stacked bars, or lines for what does not add up. The chart library is loaded with this file. What
// it draws is also in the table below it; to assistive technology it is one picture with a sentence.
import { Bar, CartesianGrid, ComposedChart, Line, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";
import { kRest, type Series } from "./aggregate";
import css from "./Usage.module.css";

export const kColours = ["var(--chart-1)", "var(--chart-2)", "var(--chart-3)", "var(--chart-4)", "var(--chart-5)"];

export const colourOf = (names: readonly string[], name: string) =>
  name === kRest ? "var(--chart-6)" : (kColours[names.indexOf(name) % kColours.length] ?? "var(--chart-1)");

const tick = { fill: "var(--text-3)", fontSize: 12 };

export default function UsageChart({
  series,
  lines,
  label,
  format,
  formatTick,
  formatTime,
}: {
  series: Series;
  lines: boolean;
  label: string;
  format: (value: bigint) => string;
  formatTick: (value: number) => string;
  formatTime: (ms: number, full: boolean) => string;
}) {
  // Heights only: the figures that are shown come from `series`.
  const data = series.points.map((point) => ({
    ms: point.ms,
    ...Object.fromEntries(series.names.map((name, index) => [`s${index}`, point.values[name] === undefined ? (lines ? null : 0) : Number(point.values[name])])),
  }));
  const exact = new Map(series.points.map((point) => [point.ms, point.values]));
  return (
    <div className={css.chart} role="img" aria-label={label}>
      <ResponsiveContainer width="100%" height="100%">
        <ComposedChart data={data} margin={{ top: 8, right: 8, bottom: 0, left: 0 }} accessibilityLayer={false} maxBarSize={36}>
          <CartesianGrid vertical={false} stroke="var(--chart-grid)" />
          <XAxis
            dataKey="ms"
            tick={tick}
            tickLine={false}
            axisLine={{ stroke: "var(--line)" }}
            minTickGap={36}
            tickFormatter={(ms: number) => formatTime(ms, false)}
          />
          <YAxis tick={tick} tickLine={false} axisLine={false} width={64} tickFormatter={formatTick} />
          <Tooltip
            isAnimationActive={false}
            cursor={{ fill: "var(--surface-3)", fillOpacity: 0.5, stroke: "var(--line)" }}
            content={({ active, label: at }) => {
              const values = active ? exact.get(Number(at)) : undefined;
              if (values === undefined) return null;
              return (
                <div className={css.tip}>
                  <p className={css.tipTime}>{formatTime(Number(at), true)}</p>
                  {series.names.map((name) => (
                    <p key={name} className={css.tipRow}>
                      <span className={css.swatch} style={{ background: colourOf(series.names, name) }} />
                      <span className={css.tipName}>{name || "none"}</span>
                      <span>{format(values[name] ?? 0n)}</span>
                    </p>
                  ))}
                </div>
              );
            }}
          />
          {series.names.map((name, index) =>
            lines ? (
              <Line
                key={name}
                dataKey={`s${index}`}
                name={name}
                stroke={colourOf(series.names, name)}
                strokeWidth={2}
                dot={data.length < 3 ? true : { r: 1.5 }}
                connectNulls
                isAnimationActive={false}
              />
            ) : (
              <Bar key={name} dataKey={`s${index}`} name={name} stackId="all" fill={colourOf(series.names, name)} isAnimationActive={false} />
            ),
          )}
        </ComposedChart>
      </ResponsiveContainer>
    </div>
  );
}
