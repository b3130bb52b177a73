// Resets a counter, or adds to and takes from it; always with a reason, which is kept.
import { useState } from "react";
import { counters as api } from "@/api/api";
import type { CounterSelector, DeployedLimit, LimitCounter } from "@/api/types";
import { useRefresh } from "@/api/useApi";
import { identifierParts, identifierText, identifierTypes } from "@/pages/budgets/limits";
import { Field, TextInput } from "@/ui/Field";
import { FormDialog } from "@/ui/FormDialog";
import { formatAmount } from "@/ui/format";
import { useToast } from "@/ui/Toast";
import { isAmount } from "./amount";

function selectorOf(limit: DeployedLimit, counter: LimitCounter): CounterSelector {
  const selector = { route: limit.routeId, element: limit.elementId };
  return limit.key.length === 0 ? selector : { ...selector, identifier: identifierParts(counter), identifierType: identifierTypes(counter) };
}

export function ChangeDialog({
  gateway,
  limit,
  counter,
  reset,
  onClose,
}: {
  gateway: string;
  limit: DeployedLimit;
  counter: LimitCounter;
  reset: boolean;
  onClose: () => void;
}) {
  const [why, setWhy] = useState("");
  const [amount, setAmount] = useState("");
  // One id for the dialog's life: a repeated click or an answer that got lost changes nothing twice.
  const [adjustmentId] = useState(() => crypto.randomUUID());
  const refresh = useRefresh();
  const toast = useToast();
  const dollars = limit.unit === "NANO_DOLLARS";
  const who = identifierText(counter);
  const change = async () => {
    const selector = selectorOf(limit, counter);
    const done = reset
      ? await api.reset(gateway, { ...selector, why: why.trim(), adjustmentId })
      : await api.adjust(gateway, { ...selector, why: why.trim(), amount: amount.trim(), adjustmentId });
    await Promise.all([refresh(["counters", gateway]), refresh(["limits", gateway]), refresh(["adjustments", gateway])]);
    toast.say(`${who} now has ${formatAmount(done.after?.counter?.used, limit.unit)} used.`);
    onClose();
  };
  const amountFits = reset || isAmount(amount, dollars);
  return (
    <FormDialog
      title={reset ? `Reset ${who}?` : `Adjust ${who}`}
      action={reset ? "Reset" : "Adjust"}
      ready={amountFits && why.trim() !== ""}
      lead={
        <p>
          {formatAmount(counter.counter?.used, limit.unit)} of {formatAmount(counter.limit ?? limit.limit, limit.unit)} used at {limit.elementId}.{" "}
          {reset ? "What is settled and in suspense becomes 0; what requests in flight hold stays held." : "The amount is added to what is settled, which ends at 0 at the least."}
        </p>
      }
      run={change}
      onClose={onClose}
    >
      {!reset && (
        <Field
          label={dollars ? "Dollars to add" : `${limit.unit === "TOKENS" ? "Tokens" : "Requests"} to add`}
          hint={dollars ? "-1.25 gives a dollar and a quarter back." : "A negative number gives some back."}
          error={amount !== "" && !amountFits ? (dollars ? "A number of dollars, with at most nine decimals." : "A whole number.") : undefined}
        >
          <TextInput autoFocus inputMode="decimal" value={amount} onChange={(event) => setAmount(event.target.value)} />
        </Field>
      )}
      <Field label="Why" hint="Kept with your name.">
        <TextInput autoFocus={reset} maxLength={500} value={why} onChange={(event) => setWhy(event.target.value)} />
      </Field>
    </FormDialog>
  );
}
