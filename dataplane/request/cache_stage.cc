#include "dataplane/request/cache_stage.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "common/limits.h"
#include "dataplane/cache/await_answer.h"
#include "dataplane/cache/cache_key.h"
#include "dataplane/provider/format.h"
#include "dataplane/request/model_call.h"

namespace signalbox {
namespace {

int64_t TtlUs(const ActiveRequest& request) {
  if (request.worker.cache == nullptr || !request.worker.cache->enabled() || request.options.skip_cache) return 0;
  int64_t ttl_s = request.route.elements_size() > 0 ? request.route.elements(0).start().cache_ttl_s() : 0;
  if (request.options.cache_ttl_s.has_value()) ttl_s = *request.options.cache_ttl_s;
  return std::clamp<int64_t>(ttl_s, 0, kCacheTtlSecondsMax) * 1'000'000;
}

// The model that comes next if every limit on the way passes; nullopt: none.
std::optional<uint32_t> NextModel(Walker walker, Step step) {
  while (const auto* limits = std::get_if<CheckLimits>(&step)) step = walker.OnLimits(limits->elements.size());
  const auto* call = std::get_if<CallModel>(&step);
  return call == nullptr ? std::nullopt : std::optional<uint32_t>(call->element);
}

// Not as true of the next request as of the one that it was an answer to.
bool IsOfThisCall(std::string_view name) {
  return name.find("ratelimit") != std::string_view::npos || name.find("processing-ms") != std::string_view::npos ||
         name == "retry-after" || name == "age" || name == "expires";
}

void AddHeader(std::string_view name, std::string_view value, v1::CachedAnswer& answer) {
  v1::CachedAnswer::Header& header = *answer.add_headers();
  header.set_name(std::string(name));
  header.set_value(std::string(value));
}

}  // namespace

CacheStage::CacheStage(ActiveRequest& request)
    : request_(request), cache_(request.worker.cache), ttl_us_(TtlUs(request)) {}

std::string CacheStage::KeyOf(const v1::CompiledElement::Model& model) const {
  RequestBody::Rewrite rewrite;
  rewrite.model = model.model();
  rewrite.parameters_json = model.parameters_json();
  if (!model.price().cap_field().empty()) rewrite.cap_field = model.price().cap_field();
  std::string body;
  if (request_.options.cache_key.empty()) body = request_.body.Splice(rewrite);
  CacheKeyParts parts;
  parts.gateway = request_.route.gateway();
  parts.cache_group = request_.key.cache_group();
  parts.key_id = request_.key.id();
  parts.format = FormatName(request_.body.format());
  parts.stream = request_.body.stream();
  parts.usage_in_stream = request_.body.client_wants_usage();
  parts.endpoint = request_.native_query;
  parts.provider = model.provider();
  parts.byok_alias = request_.options.byok_alias;
  parts.model = model.model();
  parts.parameters = model.parameters_json();
  parts.body = body;
  parts.client_key = request_.options.cache_key;
  for (const auto [name, value] : request_.exchange.request().headers) {
    if (IsProviderHeader(name)) parts.headers.emplace_back(name, value);
  }
  return CacheKey(parts);
}

asio::awaitable<void> CacheStage::LookUp(const Walker& walker, const Step& step) {
  const std::optional<uint32_t> next = NextModel(walker, step);
  if (next == element_) co_return;
  lead_.Pass();
  hit_.reset();
  element_ = next;
  v1::SpendRecord& record = request_.record.record();
  if (!next.has_value()) {
    if (record.cache() == v1::HIT) record.set_cache(v1::MISS);  // found, and its limits refused it
    co_return;
  }
  key_ = KeyOf(request_.route.elements(static_cast<int>(*next)).model());
  int64_t wait_us = int64_t{kCacheWaitMsMax} * 1'000;
  if (request_.options.request_timeout_ms.has_value()) {
    wait_us = std::min(wait_us, *request_.options.request_timeout_ms * 1'000);
  }
  AnswerWait wait(*cache_, request_.worker.io);
  request_.exchange.OnClientGone([&wait] { wait.Cancel(); });
  AnswerWait::Result result = co_await wait.Find(key_, ttl_us_, wait_us);
  request_.exchange.OnClientGone({});
  hit_ = std::move(result.hit);
  lead_ = std::move(result.lead);
  record.set_cache(hit_.has_value() ? v1::HIT : v1::MISS);
}

void CacheStage::Asks(uint32_t element) {
  keeps_ = ttl_us_ > 0 && element == element_;
  if (!keeps_) lead_.Pass();
}

void CacheStage::Failed() {
  keeps_ = false;
  lead_.Pass();
}

std::unique_ptr<AnswerKeep> CacheStage::Keep() {
  if (!keeps_) return nullptr;
  const v1::CompiledElement::Model& model = request_.route.elements(static_cast<int>(*element_)).model();
  return std::make_unique<AnswerKeep>(*cache_, std::move(key_), ttl_us_, std::move(lead_), model,
                                      LoweredCap(request_, model).has_value());
}

void AnswerKeep::Begin(int status, const std::string& content_type, const HeaderFields& headers, bool stream) {
  answer_.set_status(status);
  answer_.set_content_type(content_type);
  answer_.set_stream(stream);
  for (const auto [name, value] : headers) {
    if (!IsOfThisCall(name)) AddHeader(name, value, answer_);
  }
}

void AnswerKeep::End(bool hit_cap, const v1::SpendRecord& record) {
  const bool cut = hit_cap && lowered_cap_;
  if (answer_.status() < 200 || answer_.status() > 299 || cut || !capture_.whole()) return lead_.Release();
  answer_.set_body(capture_.Take());
  answer_.set_provider(model_.provider());
  answer_.set_model(model_.model());
  answer_.set_ttl_ms(ttl_us_ / 1'000);
  if (!record.attempts().empty()) answer_.set_cost_nanos(record.attempts().rbegin()->cost_nanos());
  const SharedAnswer shared = std::make_shared<const v1::CachedAnswer>(std::move(answer_));
  cache_.Store(key_, shared, ttl_us_);
  lead_.Land(shared);
}

asio::awaitable<void> RelayKept(ActiveRequest& request, SharedAnswer answer, HeaderFields headers) {
  HeaderFields all;
  for (const v1::CachedAnswer::Header& header : answer->headers()) all.Add(header.name(), header.value());
  all.Append(headers);
  request.record.MarkFirstByte();
  bool sent = false;
  if (answer->stream()) {
    sent = co_await request.exchange.BeginStream(answer->status(), answer->content_type(), std::move(all),
                                                 answer->body()) &&
           co_await request.exchange.EndStream({});
  } else {
    HttpReply reply;
    reply.status = answer->status();
    reply.content_type = answer->content_type();
    reply.headers = std::move(all);
    reply.body = answer->body();
    sent = co_await request.exchange.Reply(std::move(reply));
  }
  if (!sent) co_return;  // the record says cancelled
  request.worker.cache->CountSaved(answer->cost_nanos());
  request.record.End(v1::SUCCESS, answer->status(), "");
}

}  // namespace signalbox
