#include <algorithm>
#include <thread>

#include "common/faults.h"
#include "common/limits.h"
#include "tests/controlplane/api/api_fixture.h"

namespace signalbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;

TEST_F(ApiTest, LifeOfARoute) {
  const auto created = CreateRoute(RouteJson("my-saas"));
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->version().number(), 1);
  EXPECT_EQ(created->version().author(), "admin");
  EXPECT_TRUE(created->version().compiles());
  EXPECT_FALSE(created->has_deployment());
  EXPECT_EQ(publisher_.commits, 0);

  const auto first = Deploy("my-saas", 0);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->deployment().version(), 1);
  EXPECT_EQ(first->deployment().author(), "admin");
  EXPECT_EQ(first->snapshot_sha256(), Snapshot().sha256());
  EXPECT_EQ(publisher_.commits, 1);
  EXPECT_THAT(publisher_.waits, IsEmpty());

  const auto saved = SaveVersion("my-saas", RouteJson("my-saas", "gpt-5.1"), created->route().etag());
  ASSERT_TRUE(saved.ok()) << saved.status();
  EXPECT_FALSE(saved->unchanged());
  EXPECT_TRUE(SaveVersion("my-saas", RouteJson("my-saas", "gpt-5.1"))->unchanged());

  v1::DiffVersionsRequest diff;
  diff.set_gateway("default");
  diff.set_route("my-saas");
  const auto changes = Call(*routes_, &v1::Routes::Stub::DiffVersions, diff);
  ASSERT_TRUE(changes.ok()) << changes.status();
  EXPECT_EQ(changes->a(), 1);
  EXPECT_EQ(changes->b(), 2);
  ASSERT_EQ(changes->changes_size(), 1);
  EXPECT_EQ(changes->changes(0).element_id(), "mini");
  EXPECT_EQ(changes->changes(0).path(), "properties.model");

  const auto second = Deploy(created->route().id(), 2, /*wait_ms=*/1'000);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->deployment().previous_version(), 1);
  EXPECT_THAT(publisher_.waits, ElementsAre(Pair(2, 1'000)));
  ASSERT_EQ(second->proxies_size(), 1);
  EXPECT_EQ(second->proxies(0).proxy_id(), "proxy-1");

  v1::RollbackRequest rollback;
  rollback.set_gateway("default");
  rollback.set_route("my-saas");
  const auto back = Call(*routes_, &v1::Routes::Stub::Rollback, rollback);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->deployment().version(), 1);
  EXPECT_TRUE(back->deployment().rollback());
  EXPECT_EQ(back->snapshot_sha256(), first->snapshot_sha256());

  v1::ListDeploymentsRequest list;
  list.set_gateway("default");
  list.set_route("my-saas");
  const auto deployments = Call(*routes_, &v1::Routes::Stub::ListDeployments, list);
  ASSERT_TRUE(deployments.ok());
  EXPECT_EQ(deployments->deployments_size(), 3);
  EXPECT_EQ(deployments->deployments(0).version(), 1);

  v1::DeleteRouteRequest remove;
  remove.set_gateway("default");
  remove.set_route("my-saas");
  ASSERT_TRUE(Call(*routes_, &v1::Routes::Stub::DeleteRoute, remove).ok());
  ExpectRefused(Call(*routes_, &v1::Routes::Stub::DeleteRoute, remove).status(), absl::StatusCode::kNotFound,
                R"(gateway "default": unknown route "my-saas" (it has no routes yet))");
}

TEST_F(ApiTest, EveryValidRouteIsExportedByteForByte) {
  int routes = 0;
  for (const auto& file : std::filesystem::directory_iterator(SIGNALBOX_SOURCE_DIR "/tests/routes/valid")) {
    SCOPED_TRACE(file.path());
    std::stringstream json;
    json << std::ifstream(file.path()).rdbuf();
    // The prices here are few; what the routes need beyond them is set.
    for (const char* model : {"openai/gpt-4o", "anthropic/claude-sonnet-4-5"}) {
      v1::SetPriceRequest price;
      price.set_gateway("default");
      const std::string name = model;
      price.mutable_price()->set_provider(name.substr(0, name.find('/')));
      price.mutable_price()->set_model(name.substr(name.find('/') + 1));
      price.mutable_price()->set_input_nanos_per_mtok(1);
      price.mutable_price()->set_output_nanos_per_mtok(1);
      price.mutable_price()->set_max_output_tokens(1'000);
      ASSERT_TRUE(Call(*prices_, &v1::Prices::Stub::SetPrice, price).ok());
    }
    const auto created = CreateRoute(json.str(), /*deploy=*/true);
    ASSERT_TRUE(created.ok()) << created.status();
    v1::GetVersionRequest get;
    get.set_gateway("default");
    get.set_route(created->route().name());
    EXPECT_EQ(Call(*routes_, &v1::Routes::Stub::GetVersion, get)->json(), json.str());
    ++routes;
  }
  EXPECT_GE(routes, 5);
}

TEST_F(ApiTest, GraphWithFaultsIsRefusedWithAllOfThem) {
  const std::string json = RouteJson("my-saas", "", "opnai");
  const absl::Status status = CreateRoute(json).status();
  ExpectRefused(status, absl::StatusCode::kInvalidArgument, StartsWith(R"(route "my-saas": element "mini": )"));
  EXPECT_GE(FaultsOf(status).size(), 2u);

  v1::ValidateRouteRequest validate;
  validate.set_gateway("default");
  validate.set_json(json);
  const auto valid = Call(*routes_, &v1::Routes::Stub::ValidateRoute, validate);
  ASSERT_TRUE(valid.ok());
  EXPECT_FALSE(valid->compiles());
  EXPECT_EQ(static_cast<size_t>(valid->faults_size()), FaultsOf(status).size());
}

TEST_F(ApiTest, DraftCannotBeDeployed) {
  ASSERT_TRUE(CreateRoute(RouteJson("my-saas")).ok());
  const auto draft = SaveVersion("my-saas", RouteJson("my-saas", "gpt-4o-mini", "opnai"), "", /*allow_draft=*/true);
  ASSERT_TRUE(draft.ok()) << draft.status();
  EXPECT_FALSE(draft->version().compiles());
  const absl::Status status = Deploy("my-saas", 2).status();
  ExpectRefused(status, absl::StatusCode::kFailedPrecondition,
                testing::AllOf(StartsWith(R"(route "my-saas" v2: element "mini": )"), HasSubstr("opnai"),
                               HasSubstr("anthropic, openai")));
  EXPECT_THAT(FaultsOf(status), Not(IsEmpty()));
  EXPECT_EQ(publisher_.commits, 0);
}

TEST_F(ApiTest, DraftThatCannotBeReadHasNoName) {
  v1::CreateRouteRequest request;
  request.set_gateway("default");
  request.set_json("{");
  request.set_allow_draft(true);
  const absl::Status status = Call(*routes_, &v1::Routes::Stub::CreateRoute, request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(FaultsOf(status), Not(IsEmpty()));
}

TEST_F(ApiTest, TakenAndMalformedNamesAreRefused) {
  ASSERT_TRUE(CreateRoute(RouteJson("a")).ok());
  ExpectRefused(CreateRoute(RouteJson("a")).status(), absl::StatusCode::kAlreadyExists,
                R"(gateway "default" already has a route "a")");
  for (const std::string& name :
       {std::string("A"), std::string("-a"), std::string(64, 'a'), std::string("a/b"), std::string("")}) {
    ExpectRefused(CreateRoute(RouteJson(name)).status(), absl::StatusCode::kInvalidArgument, Not(IsEmpty()));
  }
  ExpectRefused(CreateRoute("").status(), absl::StatusCode::kInvalidArgument,
                R"(json: is missing: {"name": ..., "elements": [...]})");
  ExpectRefused(CreateRoute(std::string(kRouteJsonBytesMax + 1, ' ')).status(), absl::StatusCode::kInvalidArgument,
                "json: has 1048577 bytes, over the limit of 1048576");
  ExpectRefused(SaveVersion("a", RouteJson("b")).status(), absl::StatusCode::kInvalidArgument,
                R"(route "a": the JSON is of a route "b", not of "a"; correct its name, or rename the route)");
}

TEST_F(ApiTest, OneOfTwoEditorsWithTheSameEtagIsAborted) {
  const std::string etag = CreateRoute(RouteJson("a"))->route().etag();
  std::vector<absl::Status> statuses(8);
  std::vector<std::thread> editors;
  for (size_t i = 0; i < statuses.size(); ++i) {
    editors.emplace_back(
        [&, i] { statuses[i] = SaveVersion("a", RouteJson("a", absl::StrCat("model-", i)), etag).status(); });
  }
  for (std::thread& editor : editors) editor.join();
  EXPECT_EQ(std::count_if(statuses.begin(), statuses.end(), [](const auto& status) { return status.ok(); }), 1);
  for (const absl::Status& status : statuses) {
    if (!status.ok()) {
      ExpectRefused(status, absl::StatusCode::kAborted, StartsWith(R"(route "a" was changed meanwhile)"));
    }
  }
  EXPECT_EQ(store_->routes().Get("default", "a")->latest_version(), 2);
}

TEST_F(ApiTest, RenameKeepsTheId) {
  const v1::Route route = CreateRoute(RouteJson("a"), true)->route();
  v1::RenameRouteRequest rename;
  rename.set_gateway("default");
  rename.set_route("a");
  rename.set_new_name("B");
  ExpectRefused(Call(*routes_, &v1::Routes::Stub::RenameRoute, rename).status(), absl::StatusCode::kInvalidArgument,
                HasSubstr("is no valid name"));
  rename.set_new_name("b");
  const auto renamed = Call(*routes_, &v1::Routes::Stub::RenameRoute, rename);
  ASSERT_TRUE(renamed.ok()) << renamed.status();
  EXPECT_EQ(renamed->id(), route.id());
  EXPECT_EQ(publisher_.commits, 2);
}

TEST_F(ApiTest, ListingsComeInPages) {
  for (const char* name : {"a", "b", "c", "d", "e"}) ASSERT_TRUE(CreateRoute(RouteJson(name)).ok());
  v1::ListRoutesRequest request;
  request.set_gateway("default");
  request.set_page_size(2);
  std::vector<std::string> names;
  int pages = 0;
  do {
    const auto page = Call(*routes_, &v1::Routes::Stub::ListRoutes, request);
    ASSERT_TRUE(page.ok()) << page.status();
    EXPECT_LE(page->routes_size(), 2);
    for (const v1::Route& route : page->routes()) names.push_back(route.name());
    request.set_page_token(page->next_page_token());
    ++pages;
  } while (!request.page_token().empty());
  EXPECT_THAT(names, ElementsAre("a", "b", "c", "d", "e"));
  EXPECT_EQ(pages, 3);

  for (const char* model : {"m2", "m3", "m4"}) ASSERT_TRUE(SaveVersion("a", RouteJson("a", model)).ok());
  v1::ListVersionsRequest versions;
  versions.set_gateway("default");
  versions.set_route("a");
  versions.set_page_size(3);
  const auto newest = Call(*routes_, &v1::Routes::Stub::ListVersions, versions);
  ASSERT_EQ(newest->versions_size(), 3);
  EXPECT_EQ(newest->versions(0).number(), 4);
  EXPECT_EQ(newest->versions(0).json(), "");
  versions.set_page_token(newest->next_page_token());
  const auto oldest = Call(*routes_, &v1::Routes::Stub::ListVersions, versions);
  ASSERT_EQ(oldest->versions_size(), 1);
  EXPECT_EQ(oldest->versions(0).number(), 1);
  EXPECT_EQ(oldest->next_page_token(), "");

  // A token of another listing, and one of nobody.
  request.set_page_token(newest->next_page_token());
  ExpectRefused(Call(*routes_, &v1::Routes::Stub::ListRoutes, request).status(), absl::StatusCode::kInvalidArgument,
                StartsWith("page_token: not a token of this listing"));
  versions.set_page_token("x");
  ExpectRefused(Call(*routes_, &v1::Routes::Stub::ListVersions, versions).status(), absl::StatusCode::kInvalidArgument,
                StartsWith("page_token: not a token of this listing"));
  versions.set_page_size(-1);
  ExpectRefused(Call(*routes_, &v1::Routes::Stub::ListVersions, versions).status(), absl::StatusCode::kInvalidArgument,
                "page_size: -1 is negative");
}

TEST_F(ApiTest, WhatIsNotThereIsNamed) {
  ASSERT_TRUE(CreateRoute(RouteJson("my-saas")).ok());
  ExpectRefused(Deploy("my-sas", 0).status(), absl::StatusCode::kNotFound,
                R"(gateway "default": unknown route "my-sas" (known: my-saas))");
  ExpectRefused(Deploy("my-saas", 3).status(), absl::StatusCode::kNotFound,
                R"(route "my-saas" has no version 3 (it has 1 to 1))");
  ExpectRefused(Deploy("my-saas", -1).status(), absl::StatusCode::kInvalidArgument,
                "version: -1 is negative; versions count from 1");
  v1::RollbackRequest rollback;
  rollback.set_gateway("default");
  rollback.set_route("my-saas");
  ExpectRefused(Call(*routes_, &v1::Routes::Stub::Rollback, rollback).status(), absl::StatusCode::kFailedPrecondition,
                R"(route "my-saas" was never deployed, so there is nothing to roll back)");
  v1::DiffVersionsRequest diff;
  diff.set_gateway("default");
  diff.set_route("my-saas");
  ExpectRefused(Call(*routes_, &v1::Routes::Stub::DiffVersions, diff).status(), absl::StatusCode::kFailedPrecondition,
                R"(route "my-saas" was never deployed; name the version to compare with as `a`)");
}

TEST_F(ApiTest, SimulatesAVersionOrAnUnsavedGraph) {
  ASSERT_TRUE(CreateRoute(RouteJson("my-saas")).ok());
  v1::SimulateRequest request;
  request.set_gateway("default");
  request.set_route("my-saas");
  auto simulated = Call(*routes_, &v1::Routes::Stub::Simulate, request);
  ASSERT_TRUE(simulated.ok()) << simulated.status();
  EXPECT_EQ(simulated->path(), "start/mini/end");
  EXPECT_EQ(simulated->model(), "gpt-4o-mini");
  EXPECT_EQ(simulated->status(), 200);

  request.clear_route();
  request.set_json(RouteJson("unsaved", "gpt-5.1"));
  simulated = Call(*routes_, &v1::Routes::Stub::Simulate, request);
  ASSERT_TRUE(simulated.ok()) << simulated.status();
  EXPECT_EQ(simulated->model(), "gpt-5.1");

  request.set_json(RouteJson("unsaved", "gpt-5.1", "opnai"));
  ExpectRefused(Call(*routes_, &v1::Routes::Stub::Simulate, request).status(), absl::StatusCode::kInvalidArgument,
                StartsWith(R"(the graph: element "mini": )"));
  request.clear_json();
  ExpectRefused(Call(*routes_, &v1::Routes::Stub::Simulate, request).status(), absl::StatusCode::kInvalidArgument,
                "route: is missing; name a route, or give a graph as json");
}

}  // namespace
}  // namespace signalbox
