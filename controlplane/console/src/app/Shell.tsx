// The frame around every page: navigation, the gateway, who is signed in. Narrow windows get the same navigation in a
// drawer.
import { LogOut, Menu, Monitor, Moon, Sun, X } from "lucide-react";
import { useEffect, useState, type ReactNode } from "react";
import { Link, useLocation } from "wouter";
import { IconButton } from "@/ui/Button";
import { Field, Select } from "@/ui/Field";
import { Logo } from "./Logo";
import { kSections } from "./nav";
import { useSession } from "./session";
import css from "./Shell.module.css";
import { setTheme, useTheme, type Theme } from "./theme";

export function Shell({ gateway, children }: { gateway: string; children: ReactNode }) {
  const [location] = useLocation();
  const [open, setOpen] = useState(false);
  useEffect(() => setOpen(false), [location]);
  return (
    <div className={css.shell}>
      <a href="#main" className={css.skip}>
        Skip to the page
      </a>
      <header className={css.topbar}>
        <Logo />
        <IconButton
          label={open ? "Close the menu" : "Open the menu"}
          aria-expanded={open}
          aria-controls="navigation"
          icon={open ? <X /> : <Menu />}
          onClick={() => setOpen(!open)}
        />
      </header>
      <aside id="navigation" className={`${css.sidebar} ${open ? css.open : ""}`}>
        <div className={css.brand}>
          <Link href="/" aria-label="Signalbox, all routes">
            <Logo />
          </Link>
        </div>
        <GatewayPicker gateway={gateway} />
        <nav aria-label="Pages" className={css.nav}>
          {kSections.map((section) => (
            <div key={section.label} className={css.section}>
              <h2 className={css.sectionLabel}>{section.label}</h2>
              <ul>
                {section.items.map(({ label, icon: Icon, href, under }) => {
                  const target = href(gateway);
                  const current = location === target || location.startsWith(`${target}/`) || under?.(location);
                  return (
                    <li key={label}>
                      <Link href={target} aria-current={current ? "page" : undefined}>
                        <Icon aria-hidden="true" />
                        {label}
                      </Link>
                    </li>
                  );
                })}
              </ul>
            </div>
          ))}
        </nav>
        <Account />
      </aside>
      <main id="main" tabIndex={-1} className={css.main}>
        {children}
      </main>
    </div>
  );
}

function GatewayPicker({ gateway }: { gateway: string }) {
  const { session } = useSession();
  const [location, navigate] = useLocation();
  const names = session.gateways.includes(gateway) ? session.gateways : [...session.gateways, gateway];
  // The same page of the other gateway; what was opened within it (a route, a request) belongs to this one.
  const page = location.split("/")[3] ?? "routes";
  return (
    <div className={css.picker}>
      <Field label="Gateway">
        <Select
          value={gateway}
          choices={names.map((name) => ({ value: name, label: name }))}
          onPick={(name) => navigate(`/g/${encodeURIComponent(name)}/${page}`)}
        />
      </Field>
    </div>
  );
}

const kThemes: Record<Theme, { next: Theme; label: string; icon: ReactNode }> = {
  system: { next: "light", label: "Colours: as the system. Switch to light", icon: <Monitor /> },
  light: { next: "dark", label: "Colours: light. Switch to dark", icon: <Sun /> },
  dark: { next: "system", label: "Colours: dark. Switch to the system's", icon: <Moon /> },
};

function Account() {
  const { session, signOut } = useSession();
  const theme = kThemes[useTheme()];
  return (
    <div className={css.account}>
      <div className={css.who}>
        <span className={css.name}>{session.name}</span>
        <span className={css.role}>{session.role}</span>
      </div>
      <IconButton label={theme.label} icon={theme.icon} small onClick={() => setTheme(theme.next)} />
      <IconButton label="Sign out" icon={<LogOut />} small onClick={() => void signOut()} />
    </div>
  );
}
