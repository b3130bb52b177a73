import { Field, FieldRow, Select, TextInput } from "@/ui/Field";
import { faultOf, text, type FormProps } from "./context";
import { NumberField } from "./NumberField";

const kWindows = [
  { value: "60", label: "minute" },
  { value: "3600", label: "hour" },
  { value: "86400", label: "day, UTC" },
  { value: "604800", label: "7 days" },
  { value: "2592000", label: "30 days" },
  { value: "day", label: "calendar day" },
  { value: "month", label: "calendar month" },
  { value: "custom", label: "seconds …" },
] as const;

const kTimezones: readonly string[] = Intl.supportedValuesOf("timeZone");

export function WindowField(props: FormProps) {
  const { properties, faults, set } = props;
  const window = properties.window;
  const known = kWindows.find((choice) => choice.value === String(window));
  const calendar = typeof window === "string";
  const pick = (value: string) => {
    if (value === "custom") return set("window", 120);
    set("window", value === "day" || value === "month" ? value : Number(value));
    if (value !== "day" && value !== "month") set("timezone", undefined);
  };
  return (
    <>
      <FieldRow>
        <Field label="Per" error={known ? faultOf(faults, "window") : undefined}>
          <Select value={known?.value ?? "custom"} choices={kWindows} onPick={pick} />
        </Field>
        {!known && <NumberField {...props} name="window" label="Seconds" />}
      </FieldRow>
      {(calendar || properties.timezone !== undefined) && (
        <Field label="Time zone" optional error={faultOf(faults, "timezone")} hint="Days and months turn at midnight there.">
          <TextInput list="timezones" placeholder="UTC" value={text(properties.timezone)} onChange={(event) => set("timezone", event.target.value || undefined)} />
          <datalist id="timezones">
            {kTimezones.map((zone) => (
              <option key={zone} value={zone} />
            ))}
          </datalist>
        </Field>
      )}
    </>
  );
}
