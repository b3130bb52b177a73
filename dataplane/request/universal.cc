#include "dataplane/request/universal.h"

#include <algorithm>
#include <array>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/give_back.h"
#include "common/limits.h"
#include "dataplane/provider/universal_body.h"
#include "dataplane/request/passthrough.h"
#include "dataplane/request/relay.h"
#include "dataplane/routing/authenticate.h"
#include "dataplane/routing/endpoint.h"

namespace signalbox {
namespace {

constexpr int kNoSuchGateway = 2001;
constexpr int kNoGoodKey = 2009;
constexpr std::string_view kUnified = "compat";

// What frames the whole request is not an entry's to say.
constexpr std::array<std::string_view, 6> kNotAnEntrys = {"connection", "content-length",    "expect",
                                                          "host",       "transfer-encoding", "upgrade"};

asio::awaitable<bool> NotSent() { co_return true; }

// One entry's exchange: its own headers and body; failures are kept back while there is another entry to try.
class EntryExchange final : public ForwardedExchange {
 public:
  EntryExchange(HttpExchange& inner, HttpRequest request, size_t step, bool last)
      : ForwardedExchange(inner), request_(std::move(request)), step_(absl::StrCat(step)), last_(last) {}

  const HttpRequest& request() const override { return request_; }
  bool answered() const { return answered_; }

  asio::awaitable<bool> Reply(HttpReply reply) override {
    if (reply.status >= 300 && !last_) return NotSent();
    answered_ = true;
    Mark(reply.headers);
    return ForwardedExchange::Reply(std::move(reply));
  }
  asio::awaitable<bool> BeginStream(int status, std::string content_type, HeaderFields headers,
                                    std::string_view first) override {
    answered_ = true;
    Mark(headers);
    return ForwardedExchange::BeginStream(status, std::move(content_type), std::move(headers), first);
  }
  void ForgetRequest() override {
    GiveBack(request_.headers);
    GiveBack(request_.body);
    ForwardedExchange::ForgetRequest();
  }

 private:
  // cf-aig-step says which entry it was; the step within its route is in signalbox-path.
  void Mark(HeaderFields& headers) const {
    headers.Set("cf-aig-step", step_);
    const std::string event_id = ReadEventId(request_.headers);
    if (!event_id.empty()) headers.AddOwn("cf-aig-event-id", event_id);
  }

  HttpRequest request_;
  const std::string step_;
  const bool last_;
  bool answered_ = false;
};

// The request's headers with the entry's over them; the gateway's own have two names each.
void SetHeader(const std::string& name, const std::string& value, HeaderFields& headers) {
  for (const auto& [one, other] : {std::pair<std::string_view, std::string_view>("cf-aig-", "signalbox-"),
                                   std::pair<std::string_view, std::string_view>("signalbox-", "cf-aig-")}) {
    if (name.starts_with(one)) headers.Remove(absl::StrCat(std::string(other), name.substr(one.size())));
  }
  headers.Set(name, value);
}

HttpRequest RequestOf(const UniversalEntry& entry, const HttpRequest& whole) {
  HttpRequest request;
  request.method = "POST";
  request.target = absl::StrCat("/", entry.endpoint);
  request.headers = whole.headers;
  for (const auto& [name, value] : entry.headers) {
    if (std::find(kNotAnEntrys.begin(), kNotAnEntrys.end(), name) != kNotAnEntrys.end() || IsKeyHeader(name)) continue;
    SetHeader(name, value, request.headers);
  }
  request.body = std::string(entry.query);
  return request;
}

// What the record says of one entry must not be left in the next one's.
void ForgetEntry(RequestRecord& account) {
  account.End(v1::OUTCOME_UNSPECIFIED, 0, "");
  v1::SpendRecord& record = account.record();
  record.clear_first_byte_us();
  record.clear_route_id();
  record.clear_route();
  record.clear_version();
  record.clear_path();
  record.clear_provider();
  record.clear_model();
  record.clear_metadata_json();
  record.clear_cache();
  record.set_stream(false);
}

asio::awaitable<std::unique_ptr<OpenStream>> AnswerEntry(const Call& call, const UniversalEntry& entry) {
  const std::string path = absl::StrCat("/", entry.endpoint.substr(0, entry.endpoint.find('?')));
  if (entry.provider != kUnified) {
    const std::string query(QueryOf(entry.endpoint));
    co_return co_await AnswerNative(call, entry.provider, path, query);
  }
  Endpoint endpoint;
  if (!FindUnified(path, endpoint) || endpoint.kind != Endpoint::Kind::kModelCall) {
    Refusal refusal(404, "unknown_path",
                    absl::StrCat("the unified API has no ", path.substr(0, 200),
                                 "; use chat/completions, messages, responses or embeddings"),
                    "endpoint");
    co_await RefuseCall(call, std::move(refusal));
    co_return nullptr;
  }
  Call unified = call;
  unified.format = endpoint.format;
  co_return co_await AnswerCall(unified);
}

}  // namespace

HttpReply UniversalError(const Refusal& refusal, bool gateway_exists) {
  nlohmann::ordered_json error;
  HttpReply reply;
  reply.status = refusal.status;
  error["code"] = refusal.code;
  if (refusal.code == "wrong_gateway" && !gateway_exists) {
    reply.status = 400;
    error["code"] = kNoSuchGateway;
  } else if (refusal.status == 401 || refusal.code == "wrong_gateway") {
    reply.status = 401;
    error["code"] = kNoGoodKey;
  }
  error["message"] = refusal.message;
  nlohmann::ordered_json body;
  body["success"] = false;
  body["result"] = nlohmann::ordered_json::array();
  body["messages"] = nlohmann::ordered_json::array();
  body["error"] = nlohmann::ordered_json::array({error});
  // Messages may quote what is no UTF-8.
  reply.body = body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  if (refusal.retry_after_s > 0) reply.headers.AddOwn("retry-after", absl::StrCat(refusal.retry_after_s));
  return reply;
}

asio::awaitable<void> AnswerUniversal(const Call& call) {
  const HttpRequest& whole = call.exchange.request();
  const std::variant<std::vector<UniversalEntry>, BodyFault> read = ReadUniversalBody(whole.body);
  if (const auto* fault = std::get_if<BodyFault>(&read)) {
    call.record.End(v1::REFUSED, fault->status, fault->code);
    HttpReply reply = UniversalError(Refusal(fault->status, fault->code, fault->message, fault->param), true);
    reply.headers.AddOwn("cf-aig-log-id", call.record.request_id());
    co_await call.exchange.Reply(std::move(reply));
    co_return;
  }
  const auto& entries = std::get<std::vector<UniversalEntry>>(read);
  for (size_t i = 0; i < entries.size(); ++i) {
    const bool last = i + 1 == entries.size();
    EntryExchange exchange(call.exchange, RequestOf(entries[i], whole), i, last);
    ForgetEntry(call.record);
    const Call entry{call.worker,  exchange,           call.logged,   call.record, call.snapshot, call.key,
                     call.gateway, call.presented_key, Format::kChat, "",          PathSays(),    ""};
    std::unique_ptr<OpenStream> stream = co_await AnswerEntry(entry, entries[i]);
    if (stream != nullptr) {
      co_await RelayStream(call.worker, exchange, call.record, std::move(stream));
      co_return;  // the entries' bytes went with the request's
    }
    if (exchange.answered() || exchange.client_gone()) co_return;
  }
}

}  // namespace signalbox
