#include "dataplane/request/logged_exchange.h"

#include "common/limits.h"
#include "dataplane/routing/request_options.h"

namespace signalbox {

LoggedExchange::LoggedExchange(HttpExchange& inner)
    : ForwardedExchange(inner), event_id_(ReadEventId(inner.request().headers)) {}

void LoggedExchange::KeepPayload(v1::SpendRecord* record) {
  if (kept_in_ != nullptr) {
    kept_in_->clear_request_body();
    kept_in_->clear_response_body();
  }
  kept_in_ = record;
  if (record != nullptr) record->set_request_body(request().body.substr(0, kLoggedPayloadBytesMax));
}

asio::awaitable<bool> LoggedExchange::Reply(HttpReply reply) {
  Echo(reply.headers);
  Keep(reply.body);
  return ForwardedExchange::Reply(std::move(reply));
}

asio::awaitable<bool> LoggedExchange::BeginStream(int status, std::string content_type, HeaderFields headers,
                                                  std::string_view first) {
  Echo(headers);
  Keep(first);
  return ForwardedExchange::BeginStream(status, std::move(content_type), std::move(headers), first);
}

asio::awaitable<bool> LoggedExchange::WriteChunk(std::string_view data) {
  Keep(data);
  return ForwardedExchange::WriteChunk(data);
}

asio::awaitable<bool> LoggedExchange::EndStream(std::string_view last) {
  Keep(last);
  return ForwardedExchange::EndStream(last);
}

void LoggedExchange::Echo(HeaderFields& headers) const {
  if (!event_id_.empty() && !headers.Find("cf-aig-event-id").has_value()) headers.AddOwn("cf-aig-event-id", event_id_);
}

void LoggedExchange::Keep(std::string_view data) {
  if (kept_in_ == nullptr) return;
  std::string& body = *kept_in_->mutable_response_body();
  if (body.size() < kLoggedPayloadBytesMax) body.append(data.substr(0, kLoggedPayloadBytesMax - body.size()));
}

}  // namespace signalbox
