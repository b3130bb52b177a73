// What the signed-in role may not do here, in words. The buttons it is about are disabled with the same reason.
import { Lock } from "lucide-react";
import type { Role } from "@/api/types";
import { useMay, useSession } from "@/app/session";
import css from "./RoleNote.module.css";

// The reason why a button is disabled, or undefined where the role allows it.
export function useWhyNot(needed: Role): string | undefined {
  const { session } = useSession();
  return useMay(needed) ? undefined : `Needs the role ${needed}; yours is ${session.role}.`;
}

export function RoleNote({ needed, what }: { needed: Role; what: string }) {
  const { session } = useSession();
  if (useMay(needed)) return null;
  return (
    <p className={css.note}>
      <Lock aria-hidden="true" />
      {what} needs the role {needed}; yours is {session.role}.
    </p>
  );
}
