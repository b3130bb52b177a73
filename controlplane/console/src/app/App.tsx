import { QueryClientProvider } from "@tanstack/react-query";
import { Component, Suspense, type ReactNode } from "react";
import { Redirect, Route, Router, Switch } from "wouter";
import { queryClient } from "@/api/useApi";
import { ButtonLink } from "@/ui/Button";
import { ConfirmProvider, useConfirm } from "@/ui/Confirm";
import { Empty, Failed, Loading } from "@/ui/States";
import { ToastProvider } from "@/ui/Toast";
import { passGuard } from "./leaveGuard";
import { kPages } from "./pages";
import { paths } from "./paths";
import { SessionProvider, useSession } from "./session";
import { Shell } from "./Shell";

export function App() {
  return (
    <QueryClientProvider client={queryClient}>
      <ToastProvider>
        <ConfirmProvider>
          <GuardedRouter>
            <SessionProvider>
              <Pages />
            </SessionProvider>
          </GuardedRouter>
        </ConfirmProvider>
      </ToastProvider>
    </QueryClientProvider>
  );
}

// Every navigation passes the guard of unsaved work.
function GuardedRouter({ children }: { children: ReactNode }) {
  const confirm = useConfirm();
  return (
    <Router
      aroundNav={(navigate, to, options) => passGuard(to, confirm, () => navigate(to, options))}
    >
      {children}
    </Router>
  );
}

function Pages() {
  const { session } = useSession();
  const home = session.gateways.includes("default") ? "default" : (session.gateways[0] ?? "default");
  return (
    <Switch>
      <Route path="/">
        <Redirect to={paths.routes(home)} replace />
      </Route>
      <Route path="/g/:gateway" nest={false}>
        {({ gateway }) => <Redirect to={paths.routes(decodeSegment(gateway))} replace />}
      </Route>
      <Route path="/g/:gateway/*?">
        {({ gateway }) => (
          <Shell gateway={decodeSegment(gateway)}>
            <Guard>
              <Suspense fallback={<Loading label="Loading the page" />}>
                <PageSwitch />
              </Suspense>
            </Guard>
          </Shell>
        )}
      </Route>
      <Route>
        <NotFound home={home} />
      </Route>
    </Switch>
  );
}

function PageSwitch() {
  return (
    <Switch>
      {kPages.map(({ path, component: Page }) => (
        <Route key={path} path={path}>
          {(params) => {
            const decoded = decode(params as Record<string, string | undefined>);
            return <Page key={decoded.route ?? decoded.id ?? ""} gateway={decoded.gateway ?? "default"} params={decoded} />;
          }}
        </Route>
      ))}
      <Route>
        <NotFound home="default" />
      </Route>
    </Switch>
  );
}

function decode(params: Record<string, string | undefined>): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined && !/^\d/.test(name)) result[name] = decodeSegment(value);
  }
  return result;
}

// The router may have decoded a segment already; a lone percent sign then stands for itself.
function decodeSegment(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

function NotFound({ home }: { home: string }) {
  return (
    <Empty title="There is no such page" action={<ButtonLink href={paths.routes(home)}>All routes</ButtonLink>}>
      The address may be mistyped, or from another version of the console.
    </Empty>
  );
}

// A page that breaks says so in its place; the navigation stays usable.
class Guard extends Component<{ children: ReactNode }, { error: unknown }> {
  state = { error: null };
  static getDerivedStateFromError(error: unknown) {
    return { error };
  }
  render() {
    if (this.state.error === null) return this.props.children;
    return <Failed error={this.state.error} what="the page" onRetry={() => location.reload()} />;
  }
}
