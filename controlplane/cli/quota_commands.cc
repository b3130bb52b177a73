// limits; quota: top, get, reset, adjust, log.
#include <CLI/CLI.hpp>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/identifier.h"
#include "common/money.h"
#include "common/route/limit_terms.h"
#include "common/seal/seal.h"
#include "controlplane/cli/commands.h"
#include "controlplane/cli/values.h"
#include "signalbox/v1/counters.grpc.pb.h"

namespace signalbox {
namespace {

using Counters = v1::Counters;
using Stub = v1::Counters::Stub;

struct CounterArgs {
  std::string route;
  std::string element;
  std::string pool;
  std::vector<std::string> identifier;
  std::vector<std::string> types;
  std::string why;
  std::string adjustment_id;
  std::string by;
  int top = 20;
};

// Where the request has them.
template <typename Request>
Request Named(const Session& session, const CounterArgs& args) {
  Request request;
  request.set_gateway(session.gateway);
  request.set_route(args.route);
  request.set_element(args.element);
  request.set_pool(args.pool);
  for (const std::string& value : args.identifier) request.add_identifier(value);
  for (const std::string& type : args.types) request.add_identifier_type(type);
  return request;
}

std::string Amount(const v1::CounterKey& key, int64_t amount) {
  return key.unit() == v1::NANO_DOLLARS ? FormatMoney(amount) : absl::StrCat(amount);
}

std::vector<std::string> CounterRow(const v1::LimitCounter& shown) {
  const v1::Counter& counter = shown.counter();
  const v1::CounterKey& key = counter.key();
  return {shown.identifier(),
          UnitText(key.unit()),
          key.technique() == v1::SLIDING ? WindowText(key) + " sliding" : WindowText(key),
          Amount(key, counter.used()),
          shown.has_limit() ? Amount(key, shown.limit()) : "-",
          shown.has_limit() ? Amount(key, shown.remaining()) : "-",
          Amount(key, counter.settled()),
          Amount(key, counter.held()),
          Amount(key, counter.suspense()),
          FormatTimeMicros(counter.reset_us())};
}

Table CounterTable() {
  return Table({"IDENTIFIER", "UNIT", "WINDOW", "USED", "LIMIT", "LEFT", "SETTLED", "HELD", "SUSPENSE", "RESETS"});
}

absl::Status Top(Session& session, const CounterArgs& args) {
  auto request = Named<v1::ListLimitCountersRequest>(session, args);
  request.set_page_size(args.top);
  ASSIGN_OR_RETURN(const v1::ListLimitCountersResponse response,
                   session.client.Call<Counters>(&Stub::ListCounters, request));
  if (session.json()) return PrintJson(response);
  Table table = CounterTable();
  for (const v1::LimitCounter& counter : response.counters()) table.Add(CounterRow(counter));
  Print(table.ToString());
  Print(absl::StrCat("\npool ", response.pool(), ": ", response.counters_in_pool(), " counters\n"));
  return absl::OkStatus();
}

absl::Status Limits(Session& session) {
  v1::ListLimitsRequest request;
  request.set_gateway(session.gateway);
  ASSIGN_OR_RETURN(
      v1::ListLimitsResponse response,
      session.client.CallPages<Counters>(&Stub::ListLimits, request, &v1::ListLimitsResponse::mutable_limits));
  if (session.json()) return PrintJson(response);
  Table table({"ROUTE", "ELEMENT", "LIMIT", "UNIT", "WINDOW", "KEY", "POOL", "COUNTERS", "FULLEST", "USED"});
  for (const v1::DeployedRateLimit& limit : response.limits()) {
    const auto amount = [&](int64_t value) {
      return limit.unit() == v1::NANO_DOLLARS ? FormatMoney(value) : absl::StrCat(value);
    };
    const bool counted = !limit.fullest().empty();
    table.Add({absl::StrCat(limit.route(), "@", limit.version()),
               absl::StrCat(limit.element_id(), limit.shadow() ? " (on trial)" : ""), amount(limit.limit()),
               UnitText(limit.unit()), limit.window(), absl::StrJoin(limit.key(), ", "), limit.pool(),
               absl::StrCat(limit.counters()), counted ? limit.fullest(0).identifier() : "-",
               counted ? amount(limit.fullest(0).counter().used()) : "-"});
  }
  Print(table.ToString());
  return absl::OkStatus();
}

absl::Status Get(Session& session, const CounterArgs& args) {
  ASSIGN_OR_RETURN(const v1::LimitCounter counter,
                   session.client.Call<Counters>(&Stub::GetCounter, Named<v1::GetLimitCounterRequest>(session, args)));
  if (session.json()) return PrintJson(counter);
  Table table = CounterTable();
  table.Add(CounterRow(counter));
  Print(table.ToString());
  return absl::OkStatus();
}

// The id is made before the first try, so that the same command can be given again when the answer was lost.
template <typename Request>
absl::Status Change(Session& session, const CounterArgs& args, Request request,
                    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, v1::CounterAdjustment*)) {
  request.set_why(args.why);
  request.set_adjustment_id(args.adjustment_id.empty() ? NewUuid() : args.adjustment_id);
  const absl::StatusOr<v1::CounterAdjustment> made = session.client.Call<Counters>(method, request);
  if (absl::IsUnavailable(made.status()) || absl::IsDeadlineExceeded(made.status())) {
    return absl::Status(made.status().code(),
                        absl::StrCat(std::string(made.status().message()),
                                     "\nIt may have been done all the same. Give the same command again with --id ",
                                     request.adjustment_id(), ": it is then done once."));
  }
  RETURN_IF_ERROR(made.status());
  if (session.json()) return PrintJson(*made);
  const v1::CounterKey& key = made->after().counter().key();
  Print(absl::StrCat(
      made->after().identifier(), ", ", UnitText(key.unit()), " in pool ", key.pool(), ": ",
      Amount(key, made->before().counter().used()), " used before, ", Amount(key, made->after().counter().used()),
      " now", made->after().has_limit() ? absl::StrCat(" of ", Amount(key, made->after().limit())) : "", " (",
      made->reset() ? "reset" : absl::StrCat("adjusted by ", Amount(key, made->amount())), " by ", made->who(), ")\n"));
  if (made->reset() && made->before().counter().used() == 0) {
    Print("Nothing had been counted. If the identifier is a number or a boolean in the requests, say --type number.\n");
  }
  return absl::OkStatus();
}

absl::Status Log(Session& session, const CounterArgs& args) {
  v1::ListCounterAdjustmentsRequest request;
  request.set_gateway(session.gateway);
  request.set_pool(args.pool);
  for (const std::string& value : args.identifier) request.add_identifier(value);
  ASSIGN_OR_RETURN(
      v1::ListCounterAdjustmentsResponse response,
      session.client.CallPages<Counters>(&Stub::ListAdjustments, request,
                                         &v1::ListCounterAdjustmentsResponse::mutable_adjustments, args.top));
  if (session.json()) return PrintJson(response);
  Table table({"TIME", "POOL", "IDENTIFIER", "WHAT", "BEFORE", "AFTER", "WHO", "WHY"});
  for (const v1::CounterAdjustment& made : response.adjustments()) {
    const v1::CounterKey& key = made.after().counter().key();
    table.Add({FormatTimeMicros(made.time_us()), key.pool(), made.after().identifier(),
               made.reset() ? "reset" : Amount(key, made.amount()), Amount(key, made.before().counter().used()),
               Amount(key, made.after().counter().used()), made.who(), made.why()});
  }
  Print(table.ToString());
  return absl::OkStatus();
}

void AddLimit(CLI::App* command, CounterArgs& args) {
  command->add_option("--route", args.route, "the route whose limit it is, by name or id, as deployed");
  command->add_option("--element", args.element, "the limit's rate element; may be left out where there is one limit");
  command->add_option("--pool", args.pool, "the pool instead of route and element");
}

void AddIdentifier(CLI::App* command, CounterArgs& args, bool required) {
  CLI::Option* identifier =
      command->add_option("identifier", args.identifier, "whose counter; a value for each field of the limit's key");
  if (required) identifier->required();
  command->add_option("--type", args.types, "string (default), number or bool: of all values, or one each")
      ->delimiter(',')
      ->allow_extra_args(false);
}

void AddWhy(CLI::App* command, CounterArgs& args) {
  command->add_option("--why", args.why, "the reason; it is kept")->required();
  command->add_option("--id", args.adjustment_id, "to repeat a command whose answer was lost: done once by this id");
}

}  // namespace

void AddQuotaCommands(CLI::App& app, Session& session) {
  CLI::App* quota = app.add_subcommand("quota", "what counts against limits")->require_subcommand(1);
  auto args = std::make_shared<CounterArgs>();

  CLI::App* limits = app.add_subcommand("limits", "every limit of every deployed route, and how full it is");
  limits->callback([&session] { session.command = [&session] { return Limits(session); }; });

  CLI::App* top = quota->add_subcommand("top", "the fullest counters of a limit or pool");
  AddLimit(top, *args);
  AddIdentifier(top, *args, /*required=*/false);
  top->add_option("--top", args->top, "how many")->check(CLI::Range(1, kPageSizeMax))->capture_default_str();
  top->callback([&session, args] { session.command = [&session, args] { return Top(session, *args); }; });

  CLI::App* get = quota->add_subcommand("get", "one counter");
  AddLimit(get, *args);
  AddIdentifier(get, *args, /*required=*/true);
  get->callback([&session, args] { session.command = [&session, args] { return Get(session, *args); }; });

  CLI::App* reset = quota->add_subcommand("reset", "set a counter to what is held by requests in flight");
  AddLimit(reset, *args);
  AddIdentifier(reset, *args, /*required=*/true);
  AddWhy(reset, *args);
  reset->callback([&session, args] {
    session.command = [&session, args] {
      return Change(session, *args, Named<v1::ResetCounterRequest>(session, *args), &Stub::ResetCounter);
    };
  });

  CLI::App* adjust = quota->add_subcommand("adjust", "add to a counter, or take from it");
  AddLimit(adjust, *args);
  AddIdentifier(adjust, *args, /*required=*/true);
  adjust->add_option("--by", args->by, "-1.25 (dollars, of a cost limit), else a whole number; below 0 gives back")
      ->required();
  AddWhy(adjust, *args);
  adjust->callback([&session, args] {
    session.command = [&session, args] {
      auto request = Named<v1::AdjustLimitCounterRequest>(session, *args);
      request.set_amount(args->by);
      return Change(session, *args, std::move(request), &Stub::AdjustCounter);
    };
  });

  CLI::App* log = quota->add_subcommand("log", "who reset or adjusted what and why, newest first");
  log->add_option("--pool", args->pool, "only this pool's");
  log->add_option("identifier", args->identifier, "only this identifier's");
  log->add_option("--last", args->top, "how many")->check(CLI::Range(1, 100'000))->capture_default_str();
  log->callback([&session, args] { session.command = [&session, args] { return Log(session, *args); }; });
}

}  // namespace signalbox
