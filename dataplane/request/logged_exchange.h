// Exchanges around an exchange: what is done to every answer alike, whoever gives it. Live in HandleRequest's frame;
// worker's thread only.
#pragma once

#include <string>
#include <utility>

#include "dataplane/http/http_server.h"
#include "signalbox/v1/spend.pb.h"

namespace signalbox {

// Hands everything on.
class ForwardedExchange : public HttpExchange {
 public:
  explicit ForwardedExchange(HttpExchange& inner) : inner_(inner) {}
  const HttpRequest& request() const override { return inner_.request(); }
  asio::awaitable<bool> Reply(HttpReply reply) override { return inner_.Reply(std::move(reply)); }
  asio::awaitable<bool> BeginStream(int status, std::string content_type, HeaderFields headers,
                                    std::string_view first) override {
    return inner_.BeginStream(status, std::move(content_type), std::move(headers), first);
  }
  asio::awaitable<bool> WriteChunk(std::string_view data) override { return inner_.WriteChunk(data); }
  asio::awaitable<bool> EndStream(std::string_view last) override { return inner_.EndStream(last); }
  void AbortStream() override { inner_.AbortStream(); }
  void ForgetRequest() override { inner_.ForgetRequest(); }
  bool client_gone() const override { return inner_.client_gone(); }
  void OnClientGone(std::function<void()> callback) override { inner_.OnClientGone(std::move(callback)); }

 private:
  HttpExchange& inner_;
};

// Echoes the client's event id on every answer, and keeps what is answered where that is wanted.
class LoggedExchange final : public ForwardedExchange {
 public:
  explicit LoggedExchange(HttpExchange& inner);
  // Empty: the client sent none, or one that is refused.
  const std::string& event_id() const { return event_id_; }
  // The client's body at once and the answer's as it goes, at most kLoggedPayloadBytesMax each, into `record`, which
  // lives until the last write. Null: not kept, and what was kept is gone.
  void KeepPayload(v1::SpendRecord* record);

  asio::awaitable<bool> Reply(HttpReply reply) override;
  asio::awaitable<bool> BeginStream(int status, std::string content_type, HeaderFields headers,
                                    std::string_view first) override;
  asio::awaitable<bool> WriteChunk(std::string_view data) override;
  asio::awaitable<bool> EndStream(std::string_view last) override;

 private:
  void Echo(HeaderFields& headers) const;
  void Keep(std::string_view data);

  std::string event_id_;
  v1::SpendRecord* kept_in_ = nullptr;
};

}  // namespace signalbox
