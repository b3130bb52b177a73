// CheckCompiledRoute: what a walker could trip on never reaches one.
#include <functional>

#include "common/limits.h"
#include "common/route/walker.h"
#include "controlplane/compiler/compiler.h"
#include "tests/common/route/route_fixture.h"

namespace signalbox {
namespace {

using ::testing::HasSubstr;

std::optional<v1::ModelPrice> Free(const std::string&, const std::string&) { return v1::ModelPrice(); }

v1::CompiledRoute Good() {
  auto route = CompileRoute({"default", "r1", "my-saas", 7},
                            ParseRoute(RouteFile("valid/my-trillion-dollar-saas.json")).spec, Free);
  EXPECT_TRUE(route.ok()) << route.status();
  return *route;
}

v1::CompiledElement& At(v1::CompiledRoute& route, const std::string& id) {
  for (v1::CompiledElement& element : *route.mutable_elements()) {
    if (element.id() == id) return element;
  }
  ADD_FAILURE() << id;
  return *route.mutable_elements(0);
}

TEST(CheckCompiledRoute, AcceptsWhatTheCompilerMakes) { EXPECT_TRUE(CheckCompiledRoute(Good()).ok()); }

TEST(CheckCompiledRoute, NamesRouteAndElement) {
  v1::CompiledRoute route = Good();
  At(route, "free-budget").mutable_limit()->set_on_success(99);
  const absl::Status status = CheckCompiledRoute(route);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "route \"my-saas\" v7: element \"free-budget\" leads out of the route");
}

TEST(CheckCompiledRoute, RefusesWhateverAWalkerCouldTripOn) {
  using Break = std::function<void(v1::CompiledRoute&)>;
  const std::vector<std::pair<std::string, Break>> breaks = {
      {"it has 0 elements", [](auto& r) { r.clear_elements(); }},
      {"it lacks its gateway, id or name", [](auto& r) { r.clear_gateway(); }},
      {"it lacks its gateway, id or name", [](auto& r) { r.clear_route_id(); }},
      {"its first element is no start", [](auto& r) { r.mutable_elements()->SwapElements(0, 1); }},
      {"\"plan\" is a second start", [](auto& r) { At(r, "plan").mutable_start(); }},
      {"has no kind", [](auto& r) { At(r, "plan").clear_kind(); }},
      {"has no usable id", [](auto& r) { At(r, "plan").clear_id(); }},
      {"has the id of another", [](auto& r) { At(r, "plan").set_id("end"); }},
      {"leads out of the route", [](auto& r) { r.mutable_elements(0)->mutable_start()->set_next(9); }},
      {"leads out of the route", [](auto& r) { At(r, "plan").mutable_conditional()->set_on_false(UINT32_MAX); }},
      {"leads out of the route", [](auto& r) { At(r, "free-model").mutable_model()->set_on_fallback(1000); }},
      {"has a condition that has an unknown operator",
       [](auto& r) {
         At(r, "plan").mutable_conditional()->mutable_condition()->set_op(v1::Condition::OP_UNSPECIFIED);
       }},
      {"has a condition that compares with other than one value",
       [](auto& r) { At(r, "plan").mutable_conditional()->mutable_condition()->clear_operands(); }},
      {"has a limit that is not positive", [](auto& r) { At(r, "free-budget").mutable_limit()->set_limit(0); }},
      {"has a limit past the largest", [](auto& r) { At(r, "free-budget").mutable_limit()->set_limit(INT64_MAX); }},
      {"has a window out of range", [](auto& r) { At(r, "free-budget").mutable_limit()->set_window_seconds(0); }},
      {"counts in an unknown unit", [](auto& r) { At(r, "free-budget").mutable_limit()->clear_unit(); }},
      {"uses an unknown technique", [](auto& r) { At(r, "free-budget").mutable_limit()->clear_technique(); }},
      {"uses an unknown admission", [](auto& r) { At(r, "free-budget").mutable_limit()->clear_admission(); }},
      {"has an unknown onError", [](auto& r) { At(r, "free-budget").mutable_limit()->clear_on_error(); }},
      {"allows unpriced models and counts no dollars",
       [](auto& r) { At(r, "free-requests").mutable_limit()->set_allow_unpriced(true); }},
      {"keeps answers for a time out of range", [](auto& r) { At(r, "start").mutable_start()->set_cache_ttl_s(-1); }},
      {"keeps answers for a time out of range",
       [](auto& r) { At(r, "start").mutable_start()->set_cache_ttl_s(kCacheTtlSecondsMax + 1); }},
      {"has no pool", [](auto& r) { At(r, "free-budget").mutable_limit()->clear_pool(); }},
      {"has no key", [](auto& r) { At(r, "free-budget").mutable_limit()->clear_key(); }},
      {"has a key that has no root", [](auto& r) { At(r, "free-budget").mutable_limit()->add_key(); }},
      {"has a key of too many fields",
       [](auto& r) {
         v1::CompiledElement::Limit& limit = *At(r, "free-budget").mutable_limit();
         while (limit.key_size() <= kLimitKeyFieldsMax) *limit.add_key() = limit.key(0);
       }},
      {"has a limit past the largest",
       [](auto& r) {
         At(r, "free-budget").mutable_limit()->set_unit(v1::TOKENS);
         At(r, "free-budget").mutable_limit()->set_limit(kLimitTokensMax + 1);
       }},
      {"has a calendar window and one in seconds",
       [](auto& r) { At(r, "free-budget").mutable_limit()->set_calendar(v1::DAY); }},
      {"has a time zone and no calendar window",
       [](auto& r) { At(r, "free-budget").mutable_limit()->set_timezone("Europe/Berlin"); }},
      {"has a calendar window that slides",
       [](auto& r) {
         v1::CompiledElement::Limit& limit = *At(r, "free-budget").mutable_limit();
         limit.set_calendar(v1::MONTH);
         limit.clear_window_seconds();
         limit.set_technique(v1::SLIDING);
       }},
      {"lists other models than it can reach",
       [](auto& r) { At(r, "paid-budget").mutable_limit()->mutable_reachable_models()->RemoveLast(); }},
      {"names no model", [](auto& r) { At(r, "paid-model").mutable_model()->clear_model(); }},
      {"has a timeout out of range", [](auto& r) { At(r, "paid-model").mutable_model()->set_timeout_ms(-1); }},
      {"has retries out of range", [](auto& r) { At(r, "paid-model").mutable_model()->set_retries(1'000'000); }},
      {"has a negative price",
       [](auto& r) { At(r, "paid-model").mutable_model()->mutable_price()->set_output_nanos_per_mtok(-1); }},
      {"leads to other than an end", [](auto& r) { At(r, "paid-model").mutable_model()->set_on_success(0); }},
      {"has a status that is no error's", [](auto& r) { At(r, "end").mutable_end()->set_status(200); }},
      {"is on a cycle", [](auto& r) { At(r, "free-model").mutable_model()->set_on_fallback(1); }},
      {"is on a cycle", [](auto& r) { At(r, "plan").mutable_conditional()->set_on_true(1); }},
      {"has shares that do not sum to 100%", [](auto& r) { At(r, "plan").mutable_percentage(); }},
      {"it has 265 elements",
       [](auto& r) {
         for (int i = 0; i < 256; ++i) r.add_elements()->mutable_end();
       }},
  };
  for (const auto& [message, damage] : breaks) {
    v1::CompiledRoute route = Good();
    damage(route);
    EXPECT_THAT(std::string(CheckCompiledRoute(route).message()), HasSubstr(message));
  }
}

TEST(CheckCompiledRoute, RefusesSharesOutOfOrderOrOverflowing) {
  v1::CompiledRoute route = Good();
  v1::CompiledElement::Percentage& percentage = *At(route, "plan").mutable_percentage();
  const auto add = [&](const std::string& output, uint32_t share) {
    v1::CompiledElement::Branch& branch = *percentage.add_branches();
    branch.set_output(output);
    branch.set_basis_points(share);
    branch.set_next(static_cast<uint32_t>(route.elements_size() - 1));
  };
  add("b", 5'000);
  add("a", 5'000);
  EXPECT_THAT(std::string(CheckCompiledRoute(route).message()), HasSubstr("has branches out of order"));
  percentage.clear_branches();
  add("a", UINT32_MAX);
  add("b", 10'001);  // together 10,000 modulo 2^32
  EXPECT_THAT(std::string(CheckCompiledRoute(route).message()), HasSubstr("has shares that do not sum to 100%"));
}

TEST(CheckCompiledRoute, RefusesALongChain) {
  v1::CompiledRoute route = Good();
  route.clear_elements();
  for (uint32_t i = 0; i < 65; ++i) {
    v1::CompiledElement& element = *route.add_elements();
    element.set_id(std::to_string(i));
    if (i == 0) {
      element.mutable_start()->set_next(1);
    } else if (i == 64) {
      element.mutable_end();
    } else {
      v1::CompiledElement::Branch& branch = *element.mutable_percentage()->add_branches();
      branch.set_output("100%");
      branch.set_basis_points(10'000);
      branch.set_next(i + 1);
    }
  }
  EXPECT_THAT(std::string(CheckCompiledRoute(route).message()), HasSubstr("it is more than 64 elements deep"));
}

}  // namespace
}  // namespace signalbox
