// Real sockets on the loopback; the io_context runs until nobody waits.
#include "dataplane/http/ready_socket.h"

#include <poll.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace signalbox {
namespace {

using asio::ip::tcp;

class ReadySocketTest : public ::testing::Test {
 protected:
  // A connection: our end, and the peer's on an io_context of its own that nobody runs.
  std::pair<std::unique_ptr<ReadySocket>, tcp::socket> Connect() {
    tcp::socket peer(peer_io_);
    peer.connect(acceptor_.local_endpoint());
    tcp::socket ours(*io_);
    acceptor_.accept(ours);
    return {std::make_unique<ReadySocket>(std::move(ours)), std::move(peer)};
  }

  void Run() {
    io_->restart();
    io_->run();
  }

  // Waits until `socket` can be read, and says how that ended.
  error_code AwaitReadable(ReadySocket& socket) {
    std::optional<error_code> told;
    socket.AwaitReadable([&](error_code error) { told = error; });
    EXPECT_FALSE(told.has_value()) << "told by the call itself";
    Run();
    EXPECT_TRUE(told.has_value());
    return told.value_or(asio::error::fault);
  }

  static std::string Read(ReadySocket& socket, size_t at_most, error_code& error) {
    std::string text(at_most, '\0');
    text.resize(socket.TryRead(asio::buffer(text), error));
    return text;
  }
  static void Send(tcp::socket& peer, const std::string& text) { asio::write(peer, asio::buffer(text)); }
  // What was sent to these, or their end, is there: in the next turn they are told, in this order.
  static void AwaitArrival(std::initializer_list<const ReadySocket*> sockets) {
    for (const ReadySocket* const socket : sockets) {
      pollfd there{socket->descriptor(), POLLIN, 0};
      ASSERT_EQ(::poll(&there, 1, /*timeout ms=*/30'000), 1);
    }
  }

  std::unique_ptr<asio::io_context> io_ = std::make_unique<asio::io_context>(1);
  asio::io_context peer_io_;
  tcp::acceptor acceptor_{peer_io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
  error_code error_;
};

TEST_F(ReadySocketTest, TellsWhetherTheLoopListenedWithoutABreak) {
  auto [idle, idle_peer] = Connect();
  auto [busy, busy_peer] = Connect();
  EXPECT_EQ(idle->listening(), 0u) << "nobody waits yet";
  busy->AwaitReadable([](error_code) {});
  const uint64_t since = idle->listening();
  EXPECT_NE(since, 0u);
  Send(idle_peer, "heard");
  Send(busy_peer, "a");
  // Who waits again before it is done leaves no break.
  error_code error;
  EXPECT_EQ(io_->run_one(), 1u);
  EXPECT_EQ(Read(*busy, 8, error), "a");
  EXPECT_TRUE(idle->maybe_readable()) << "though nobody waited for it";
  Run();
  EXPECT_EQ(idle->listening(), 0u) << "nobody waits any more";
  busy->AwaitReadable([](error_code) {});
  EXPECT_NE(idle->listening(), 0u);
  EXPECT_NE(idle->listening(), since) << "what came in between may not have been heard";
  busy->Cancel();
  Run();
  EXPECT_EQ(idle->listening(), 0u);
}

TEST_F(ReadySocketTest, WaitingAnewWithinATurnIsNoBreak) {
  auto [idle, idle_peer] = Connect();
  auto [busy, busy_peer] = Connect();
  int turns = 0;
  error_code error;
  uint64_t since = 0;
  std::function<void(error_code)> again = [&](error_code) {
    EXPECT_EQ(Read(*busy, 8, error), "a");
    if (++turns == 1) since = idle->listening();
    EXPECT_EQ(idle->listening(), since);
    if (turns == 5) return;
    Send(busy_peer, "a");
    busy->AwaitReadable(again);
  };
  busy->AwaitReadable(again);
  Send(busy_peer, "a");
  Run();
  EXPECT_EQ(turns, 5);
  EXPECT_NE(since, 0u);
}

TEST_F(ReadySocketTest, TellsOfWhatComesAndOfNothingElse) {
  auto [socket, peer] = Connect();
  EXPECT_EQ(Read(*socket, 10, error_), "");
  EXPECT_FALSE(error_);
  EXPECT_FALSE(socket->maybe_readable());
  for (const std::string text : {"one", "two"}) {
    Send(peer, text);
    EXPECT_FALSE(AwaitReadable(*socket));
    EXPECT_TRUE(socket->maybe_readable());
    EXPECT_EQ(Read(*socket, 10, error_), text);
    EXPECT_FALSE(socket->maybe_readable()) << "there was room for more";
  }
}

TEST_F(ReadySocketTest, WhatDidNotFitIsStillThere) {
  auto [socket, peer] = Connect();
  Send(peer, "abcdef");
  EXPECT_FALSE(AwaitReadable(*socket));
  EXPECT_EQ(Read(*socket, 4, error_), "abcd");
  EXPECT_TRUE(socket->maybe_readable());
  EXPECT_FALSE(AwaitReadable(*socket)) << "no word came since";
  EXPECT_EQ(Read(*socket, 4, error_), "ef");
}

TEST_F(ReadySocketTest, AnEndThatCameTogetherWithTheLastBytesIsFound) {
  auto [socket, peer] = Connect();
  Send(peer, "bye");
  peer.close();
  EXPECT_FALSE(AwaitReadable(*socket));
  EXPECT_EQ(Read(*socket, 100, error_), "bye");
  EXPECT_FALSE(error_);
  EXPECT_FALSE(AwaitReadable(*socket));
  EXPECT_EQ(Read(*socket, 100, error_), "");
  EXPECT_EQ(error_, asio::error::eof);
}

// A read stops there, however much stands behind it.
TEST_F(ReadySocketTest, WhatFollowsUrgentDataIsFound) {
  auto [socket, peer] = Connect();
  Send(peer, "abc");
  peer.send(asio::buffer("Z", 1), asio::socket_base::message_out_of_band);
  Send(peer, "def");
  EXPECT_FALSE(AwaitReadable(*socket));
  EXPECT_EQ(Read(*socket, 100, error_), "abc");
  EXPECT_FALSE(AwaitReadable(*socket));
  EXPECT_EQ(Read(*socket, 100, error_), "def");
  EXPECT_EQ(Read(*socket, 100, error_), "");
  EXPECT_FALSE(socket->maybe_readable());
  Send(peer, "later");
  EXPECT_FALSE(AwaitReadable(*socket));
  EXPECT_EQ(Read(*socket, 100, error_), "later");
}

TEST_F(ReadySocketTest, AnEndAloneIsTold) {
  auto [socket, peer] = Connect();
  peer.close();
  EXPECT_FALSE(AwaitReadable(*socket));
  EXPECT_EQ(Read(*socket, 100, error_), "");
  EXPECT_EQ(error_, asio::error::eof);
}

TEST_F(ReadySocketTest, AResetIsTheReadersError) {
  auto [socket, peer] = Connect();
  auto [other, other_peer] = Connect();
  peer.set_option(asio::socket_base::linger(true, 0));
  peer.close();
  EXPECT_FALSE(AwaitReadable(*socket));
  Read(*socket, 100, error_);
  EXPECT_EQ(error_, asio::error::connection_reset);
  other->Reset();
  char byte;
  other_peer.read_some(asio::buffer(&byte, 1), error_);
  EXPECT_EQ(error_, asio::error::connection_reset);
}

TEST_F(ReadySocketTest, ShutDownTheSendingSideIsAnEndToThePeer) {
  auto [socket, peer] = Connect();
  socket->ShutdownSend();
  char byte;
  peer.read_some(asio::buffer(&byte, 1), error_);
  EXPECT_EQ(error_, asio::error::eof);
  Send(peer, "still read");
  EXPECT_FALSE(AwaitReadable(*socket));
  EXPECT_EQ(Read(*socket, 100, error_), "still read");
}

TEST_F(ReadySocketTest, ACancelledWaitEndsAndTheNextOneIsTold) {
  auto [socket, peer] = Connect();
  std::optional<error_code> told;
  socket->AwaitReadable([&](error_code error) { told = error; });
  socket->Cancel();
  EXPECT_FALSE(told.has_value()) << "told by Cancel itself";
  Run();
  ASSERT_TRUE(told.has_value());
  EXPECT_EQ(*told, asio::error::operation_aborted);
  Send(peer, "later");
  EXPECT_FALSE(AwaitReadable(*socket));
  EXPECT_EQ(Read(*socket, 100, error_), "later");
}

TEST_F(ReadySocketTest, AClosedOneRefusesEverything) {
  auto [socket, peer] = Connect();
  std::optional<error_code> told;
  socket->AwaitReadable([&](error_code error) { told = error; });
  socket->Close();
  socket->Close();
  Run();
  EXPECT_EQ(told, error_code(asio::error::operation_aborted));
  EXPECT_EQ(socket->descriptor(), -1);
  EXPECT_TRUE(AwaitReadable(*socket));
  Read(*socket, 1, error_);
  EXPECT_TRUE(error_);
  const asio::const_buffer piece("x", 1);
  socket->TryWrite({&piece, 1}, error_);
  EXPECT_TRUE(error_);
}

TEST_F(ReadySocketTest, PiecesArriveInOrderWithoutTheEmptyOnes) {
  auto [socket, peer] = Connect();
  const std::array<asio::const_buffer, 4> pieces = {asio::buffer("", 0), asio::buffer("ab", 2), asio::buffer("", 0),
                                                    asio::buffer("cde", 3)};
  EXPECT_EQ(socket->TryWrite(pieces, error_), 5u);
  std::string text(5, '\0');
  asio::read(peer, asio::buffer(text));
  EXPECT_EQ(text, "abcde");
}

TEST_F(ReadySocketTest, AFullSocketIsWritableAgainWhenThePeerReads) {
  auto [socket, peer] = Connect();
  const std::string block(64 << 10, 'x');
  const asio::const_buffer piece = asio::buffer(block);
  size_t written = 0;
  for (size_t n = 1; n > 0; written += n) {
    n = socket->TryWrite({&piece, 1}, error_);
    ASSERT_FALSE(error_);
  }
  std::optional<error_code> told;
  socket->AwaitWritable([&](error_code error) { told = error; });
  io_->restart();
  io_->poll();
  EXPECT_FALSE(told.has_value()) << "nobody has read yet";
  std::string taken(written, '\0');
  asio::read(peer, asio::buffer(taken));
  Run();
  ASSERT_TRUE(told.has_value());
  EXPECT_FALSE(*told);
  EXPECT_GT(socket->TryWrite({&piece, 1}, error_), 0u);
  // Reading goes on beside it.
  Send(peer, "back");
  EXPECT_FALSE(AwaitReadable(*socket));
  EXPECT_EQ(Read(*socket, 100, error_), "back");
}

// More than are fetched at once, and all of them ready before the loop looks.
TEST_F(ReadySocketTest, OfManyThatAreReadyEachIsTold) {
  constexpr size_t kSockets = 300;
  std::vector<std::pair<std::unique_ptr<ReadySocket>, tcp::socket>> connections;
  size_t told = 0;
  for (size_t i = 0; i < kSockets; ++i) {
    connections.push_back(Connect());
    connections.back().first->AwaitReadable([&](error_code error) { told += error ? 0 : 1; });
    Send(connections.back().second, "x");
  }
  Run();
  EXPECT_EQ(told, kSockets);
}

// What was fetched together with it must not reach one that is gone, nor one made in its place.
TEST_F(ReadySocketTest, WhoIsToldMayDestroyTheOthersThatAreReady) {
  constexpr size_t kSockets = 20;
  std::vector<std::pair<std::unique_ptr<ReadySocket>, tcp::socket>> connections;
  std::vector<std::pair<std::unique_ptr<ReadySocket>, tcp::socket>> later;
  size_t told = 0, aborted = 0, later_told = 0;
  for (size_t i = 0; i < kSockets; ++i) {
    connections.push_back(Connect());
    connections.back().first->AwaitReadable([&, i](error_code error) {
      if (error == asio::error::operation_aborted) ++aborted;
      if (error) return;
      if (++told > 1) return;
      for (size_t other = 0; other < kSockets; ++other) {
        if (other == i) continue;
        connections[other].first.reset();
        later.push_back(Connect());
        later.back().first->AwaitReadable([&](error_code) { ++later_told; });
      }
    });
    Send(connections.back().second, "x");
  }
  io_->restart();
  while (told == 0) io_->run_one();
  io_->poll();
  EXPECT_EQ(told, 1u);
  EXPECT_EQ(aborted, kSockets - 1);
  EXPECT_EQ(later_told, 0u) << "nothing was sent to them";
  for (auto& [socket, peer] : later) Send(peer, "x");
  Run();
  EXPECT_EQ(later_told, kSockets - 1);
}

// Reader and writer are told of a reset together, and the first of them may end the other's socket.
TEST_F(ReadySocketTest, AResetIsToldToBothWhoWait) {
  for (const bool closes : {false, true}) {
    auto [socket, peer] = Connect();
    const std::string block(64 << 10, 'x');
    const asio::const_buffer piece = asio::buffer(block);
    while (socket->TryWrite({&piece, 1}, error_) > 0) {
    }
    bool reader_told = false, writer_told = false;
    socket->AwaitReadable([&](error_code) { reader_told = true; });
    socket->AwaitWritable([&, &socket = socket](error_code) {
      writer_told = true;
      if (closes) socket.reset();
    });
    peer.set_option(asio::socket_base::linger(true, 0));
    peer.close();
    Run();
    EXPECT_TRUE(reader_told);
    EXPECT_TRUE(writer_told);
    if (closes) continue;
    Read(*socket, 1, error_);
    EXPECT_TRUE(error_);
    EXPECT_EQ(socket->TryWrite({&piece, 1}, error_), 0u);
    EXPECT_TRUE(error_);
  }
}

// A child that was forked meanwhile holds the connection too.
TEST_F(ReadySocketTest, NothingIsHeardOfAClosedOneThatIsOpenElsewhere) {
  auto [socket, peer] = Connect();
  const int elsewhere = ::dup(socket->descriptor());
  socket.reset();
  auto [other, other_peer] = Connect();
  Send(peer, "to nobody");
  Send(other_peer, "x");
  EXPECT_FALSE(AwaitReadable(*other));
  ::close(elsewhere);
}

TEST_F(ReadySocketTest, TheLoopEndsWhenNobodyWaits) {
  auto [socket, peer] = Connect();
  Send(peer, "unread");
  Run();  // returns
  EXPECT_EQ(Read(*socket, 100, error_), "unread");
}

TEST_F(ReadySocketTest, ALoopThatGoesTakesThoseWhoWaitAlong) {
  struct Held {
    std::unique_ptr<ReadySocket> socket;
    std::shared_ptr<int> token;
  };
  const auto token = std::make_shared<int>();
  auto [first, first_peer] = Connect();
  auto [second, second_peer] = Connect();
  auto coroutine = [](Held held) -> asio::awaitable<void> {
    co_await held.socket->WaitReadable();
    ADD_FAILURE() << "nothing was sent";
  };
  asio::co_spawn(*io_, coroutine({std::move(first), token}), asio::detached);
  ReadySocket& watched = *second;
  watched.AwaitReadable([held = std::make_shared<Held>(std::move(second), token)](error_code) { ADD_FAILURE(); });
  io_->poll();
  EXPECT_EQ(token.use_count(), 3);
  io_.reset();
  EXPECT_EQ(token.use_count(), 1);
}

// ---- Of those that are told in the same turn.

TEST_F(ReadySocketTest, WhatWasReadAheadIsItsReadersAlone) {
  constexpr size_t kSockets = 40;  // more than are told together
  std::vector<std::pair<std::unique_ptr<ReadySocket>, tcp::socket>> connections;
  std::vector<std::string> texts(kSockets), read(kSockets);
  for (size_t i = 0; i < kSockets; ++i) {
    connections.push_back(Connect());
    texts[i] = std::string(100 + i * 200, static_cast<char>('a' + i % 26));  // the longer ones do not fit
    Send(connections[i].second, texts[i]);
    AwaitArrival({connections[i].first.get()});
  }
  for (size_t i = 0; i < kSockets; ++i) {
    connections[i].first->AwaitReadable([&, i](error_code error) {
      ASSERT_FALSE(error);
      if (i % 2 == 0) read[i] = Read(*connections[i].first, 10, error);  // the others look later
    });
  }
  Run();
  // What comes in another turn must not take the place of theirs.
  auto [late, late_peer] = Connect();
  auto [later, later_peer] = Connect();
  for (tcp::socket* const peer : {&late_peer, &later_peer}) Send(*peer, std::string(4'096, '?'));
  AwaitArrival({late.get(), later.get()});
  for (ReadySocket* const socket : {late.get(), later.get()}) socket->AwaitReadable([](error_code) {});
  Run();
  EXPECT_TRUE(late->has_read_ahead());
  for (size_t i = 0; i < kSockets; ++i) {
    ReadySocket& socket = *connections[i].first;
    EXPECT_TRUE(socket.has_read_ahead());
    while (read[i].size() < texts[i].size() && socket.maybe_readable()) read[i] += Read(socket, 5'000, error_);
    EXPECT_EQ(read[i], texts[i]) << i;
    EXPECT_FALSE(socket.has_read_ahead());
  }
  EXPECT_EQ(Read(*late, 10'000, error_), std::string(4'096, '?'));
}

TEST_F(ReadySocketTest, EndsAndResetsAreFoundWhereBytesAreReadAhead) {
  auto [ended, ended_peer] = Connect();
  auto [reset, reset_peer] = Connect();
  auto [empty, empty_peer] = Connect();
  Send(ended_peer, "last");
  ended_peer.close();
  reset_peer.set_option(asio::socket_base::linger(true, 0));
  reset_peer.close();
  empty_peer.close();
  AwaitArrival({ended.get(), reset.get(), empty.get()});
  for (ReadySocket* const socket : {ended.get(), reset.get(), empty.get()}) socket->AwaitReadable([](error_code) {});
  Run();
  EXPECT_EQ(Read(*ended, 10, error_), "last");
  EXPECT_TRUE(ended->maybe_readable());
  EXPECT_EQ(Read(*ended, 10, error_), "");
  EXPECT_EQ(error_, error_code(asio::error::eof));
  EXPECT_TRUE(reset->maybe_readable());
  EXPECT_EQ(Read(*reset, 10, error_), "");
  EXPECT_EQ(error_, error_code(asio::error::connection_reset));
  EXPECT_TRUE(empty->maybe_readable());
  EXPECT_EQ(Read(*empty, 10, error_), "");
  EXPECT_EQ(error_, error_code(asio::error::eof));
}

TEST_F(ReadySocketTest, WhatWasReadAheadIsThereForTheNextOneWhoWaits) {
  auto [socket, peer] = Connect();
  auto [other, other_peer] = Connect();
  Send(peer, "ab");
  Send(other_peer, "cd");
  AwaitArrival({socket.get(), other.get()});
  for (ReadySocket* const one : {socket.get(), other.get()}) one->AwaitReadable([](error_code) {});
  Run();
  EXPECT_TRUE(socket->has_read_ahead());
  EXPECT_FALSE(AwaitReadable(*socket));
  EXPECT_EQ(Read(*socket, 10, error_), "ab");
  other->Close();
  EXPECT_FALSE(other->has_read_ahead());
}

class WriteTogetherTest : public ReadySocketTest {
 protected:
  struct Writer {
    std::unique_ptr<ReadySocket> socket;
    tcp::socket peer;
    size_t written = 77;
    std::optional<error_code> ended = std::nullopt;
  };

  void Add(size_t n) {
    for (size_t i = 0; i < n; ++i) {
      auto [socket, peer] = Connect();
      writers_.push_back({std::move(socket), std::move(peer)});
    }
  }
  // In the next turn each is told, in their order.
  void SendToAll() {
    for (Writer& writer : writers_) {
      Send(writer.peer, "go");
      AwaitArrival({writer.socket.get()});
    }
  }
  void Spawn(asio::awaitable<void> coroutine) { asio::co_spawn(*io_, std::move(coroutine), asio::detached); }
  // Each is told when all run, writes `text(i)` there and then, and goes on with `after(i)`.
  void RunWriters(size_t n, std::function<std::string(size_t)> text, std::function<void(size_t)> after) {
    Add(n);
    SendToAll();
    for (size_t i = 0; i < n; ++i) Spawn(WriteWhenTold(i, text, after));
    Run();
  }
  asio::awaitable<void> WriteWhenTold(size_t i, std::function<std::string(size_t)> text,
                                      std::function<void(size_t)> after) {
    if (const auto [unread] = co_await writers_[i].socket->WaitReadable(); unread) co_return;
    co_await Write(i, text(i));
    after(i);
  }
  asio::awaitable<void> Write(size_t i, std::string text) {
    ReadySocket& socket = *writers_[i].socket;
    EXPECT_TRUE(socket.writes_gather());
    const asio::const_buffer piece = asio::buffer(text);
    size_t written = 0;
    const auto [error] = co_await socket.WriteTogether({&piece, 1}, written);
    writers_[i].written = written;
    writers_[i].ended = error;
  }
  std::string Arrived(size_t i) {
    std::string arrived(writers_[i].peer.available(), '\0');
    asio::read(writers_[i].peer, asio::buffer(arrived));
    return arrived;
  }

  std::vector<Writer> writers_;
};

TEST_F(WriteTogetherTest, LeavesWhenAllHaveBeenTold) {
  size_t told = 0;
  const auto text = [&](size_t i) {
    for (Writer& writer : writers_) EXPECT_EQ(writer.peer.available(), 0u) << told;
    ++told;
    return std::string(i + 1, 'w');
  };
  RunWriters(3, text, [&](size_t) { EXPECT_EQ(told, 3u); });
  for (size_t i = 0; i < writers_.size(); ++i) {
    EXPECT_EQ(writers_[i].ended, error_code());
    EXPECT_EQ(writers_[i].written, i + 1);
    EXPECT_EQ(Arrived(i), std::string(i + 1, 'w'));
    EXPECT_FALSE(writers_[i].socket->writes_gather());
  }
}

TEST_F(WriteTogetherTest, OfManyEachIsWrittenOnce) {
  RunWriters(
      300, [](size_t i) { return std::to_string(i); }, [](size_t) {});
  for (size_t i = 0; i < writers_.size(); ++i) {
    EXPECT_EQ(writers_[i].ended, error_code());
    EXPECT_EQ(Arrived(i), std::to_string(i));
  }
}

// One message may wake many.
TEST_F(WriteTogetherTest, OneWhoIsToldMayMakeManyWrite) {
  constexpr size_t kWriters = 100;
  Add(kWriters + 1);
  std::vector<Waiter> waiters(kWriters);
  const auto write_when_woken = [&](size_t i) -> asio::awaitable<void> {
    co_await waiters[i].Wait();
    co_await Write(i, std::to_string(i));
  };
  for (size_t i = 0; i < kWriters; ++i) Spawn(write_when_woken(i));
  writers_[kWriters].socket->AwaitReadable([&](error_code) {
    for (Waiter& waiter : waiters) waiter.Wake();
    for (size_t i = 0; i < kWriters; ++i) EXPECT_EQ(writers_[i].peer.available(), 0u);
  });
  io_->poll();
  Send(writers_[kWriters].peer, "go");
  Run();
  for (size_t i = 0; i < kWriters; ++i) {
    EXPECT_EQ(writers_[i].ended, error_code());
    EXPECT_EQ(Arrived(i), std::to_string(i));
  }
}

TEST_F(WriteTogetherTest, WhoIsThroughMayWriteAgainAndBeClosedMeanwhile) {
  for (const bool closes : {false, true}) {
    writers_.clear();
    Add(2);
    const auto twice = [&]() -> asio::awaitable<void> {
      co_await writers_[0].socket->WaitReadable();
      co_await Write(0, "one");
      EXPECT_EQ(writers_[0].written, 3u);
      co_await Write(0, "three");
    };
    const auto once = [&]() -> asio::awaitable<void> {
      co_await writers_[1].socket->WaitReadable();
      co_await Write(1, "two");
      if (closes) writers_[0].socket->Close();
    };
    Spawn(twice());
    Spawn(once());
    io_->restart();
    io_->poll();
    SendToAll();
    Run();
    EXPECT_EQ(writers_[0].written, closes ? 0u : 5u);
    EXPECT_EQ(writers_[0].ended, closes ? error_code(asio::error::operation_aborted) : error_code());
    EXPECT_EQ(Arrived(0), closes ? "one" : "onethree");
    EXPECT_EQ(Arrived(1), "two");
  }
}

TEST_F(WriteTogetherTest, WhatIsClosedOrCancelledBeforeItLeavesIsNotWritten) {
  const auto text = [&](size_t i) {
    if (i == 2) {
      writers_[0].socket->Close();
      writers_[1].socket->Cancel();
    }
    return std::string("text");
  };
  RunWriters(4, text, [](size_t) {});
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(writers_[i].ended, error_code(asio::error::operation_aborted));
    EXPECT_EQ(writers_[i].written, 0u);
  }
  error_code end;
  char byte;
  EXPECT_EQ(writers_[0].peer.read_some(asio::buffer(&byte, 1), end), 0u);
  EXPECT_TRUE(end);
  EXPECT_EQ(Arrived(1), "");
  EXPECT_EQ(Arrived(2), "text");
  EXPECT_EQ(Arrived(3), "text");
}

// The first sixteen are written together, and fifteen of them closed before they are told: what they wrote has left.
TEST_F(WriteTogetherTest, WhoIsThroughMayCloseTheOthers) {
  const auto close_others = [&](size_t i) {
    for (size_t other = 0; i == 0 && other < writers_.size(); ++other) {
      if (other != i) writers_[other].socket->Close();
    }
  };
  RunWriters(
      20, [](size_t) { return std::string("text"); }, close_others);
  for (size_t i = 0; i < writers_.size(); ++i) {
    const bool ended = writers_[i].ended.has_value();
    EXPECT_EQ(ended, i < 16) << "what the last four waited to read is closed, too";
    if (!ended) continue;
    EXPECT_EQ(*writers_[i].ended, i == 0 ? error_code() : error_code(asio::error::operation_aborted));
    EXPECT_EQ(writers_[i].written, 4u);
    EXPECT_EQ(Arrived(i), "text");
  }
}

TEST_F(WriteTogetherTest, AFullSocketTakesNothingAndCanBeAwaited) {
  const auto fill = [&](size_t i) {
    const std::string block(64 << 10, 'x');
    const asio::const_buffer piece = asio::buffer(block);
    while (i == 0 && writers_[0].socket->TryWrite({&piece, 1}, error_) > 0) {
    }
    return std::string("text");
  };
  bool writable = false;
  RunWriters(2, fill, [&](size_t i) {
    if (i > 0) return;
    writers_[0].socket->AwaitWritable([&](error_code error) { writable = !error; });
    while (writers_[0].peer.available() > 0) Arrived(0);
  });
  EXPECT_EQ(writers_[0].ended, error_code());
  EXPECT_EQ(writers_[0].written, 0u);
  EXPECT_EQ(Arrived(1), "text");
  EXPECT_TRUE(writable);
}

TEST_F(WriteTogetherTest, AResetIsTheWritersError) {
  const auto reset = [&](size_t i) {
    writers_[i].peer.set_option(asio::socket_base::linger(true, 0));
    writers_[i].peer.close();
    return std::string("text");
  };
  RunWriters(2, reset, [](size_t) {});
  for (const Writer& writer : writers_) {
    ASSERT_TRUE(writer.ended.has_value());
    EXPECT_TRUE(*writer.ended);
    EXPECT_EQ(writer.written, 0u);
  }
}

// It may be told of its room, for which it waited before, or of a reset.
TEST_F(WriteTogetherTest, AnEventBeforeItLeavesDoesNotEndIt) {
  Add(2);
  writers_[1].socket->AwaitWritable([](error_code) {});
  Run();
  Waiter waiter;
  const auto write_when_woken = [&]() -> asio::awaitable<void> {
    co_await waiter.Wait();
    co_await Write(1, "once");
  };
  Spawn(write_when_woken());
  writers_[0].socket->AwaitReadable([&](error_code) { waiter.Wake(); });
  io_->restart();
  io_->poll();
  SendToAll();
  Run();
  EXPECT_EQ(writers_[1].ended, error_code());
  EXPECT_EQ(writers_[1].written, 4u);
  EXPECT_EQ(Arrived(1), "once");
}

TEST_F(WriteTogetherTest, WhereNobodyIsBeingToldItIsWrittenAtOnce) {
  Add(1);
  std::optional<error_code> ended;
  size_t written = 77;
  const asio::const_buffer piece("text", 4);
  const auto write = [&]() -> asio::awaitable<void> {
    EXPECT_FALSE(writers_[0].socket->writes_gather());
    const auto [error] = co_await writers_[0].socket->WriteTogether({&piece, 1}, written);
    ended = error;
  };
  Spawn(write());
  Run();
  EXPECT_EQ(ended, error_code());
  EXPECT_EQ(written, 4u);
  EXPECT_EQ(Arrived(0), "text");
}

TEST_F(WriteTogetherTest, ALoopThatGoesTakesThoseWhoWriteAlong) {
  const auto token = std::make_shared<int>();
  auto [socket, peer] = Connect();
  Send(peer, "go");
  size_t written = 0;
  auto coroutine = [&](std::unique_ptr<ReadySocket> held, std::shared_ptr<int>) -> asio::awaitable<void> {
    co_await held->WaitReadable();
    io_->stop();
    const asio::const_buffer piece("text", 4);
    co_await held->WriteTogether({&piece, 1}, written);
    co_await held->WaitReadable();
    co_await held->WaitReadable();
    ADD_FAILURE() << "the loop was stopped";
  };
  asio::co_spawn(*io_, coroutine(std::move(socket), token), asio::detached);
  Run();
  EXPECT_EQ(token.use_count(), 2);
  io_.reset();
  EXPECT_EQ(token.use_count(), 1);
}

TEST(Waiter, RunsWhoWaitsOnceAndMayBeAwaitedAgainMeanwhile) {
  Waiter waiter;
  waiter.Wake();  // nobody
  std::vector<std::string> told;
  waiter.Await([&](error_code) {
    told.push_back("first");
    waiter.Await([&](error_code error) { told.push_back(error ? "failed" : "second"); });
  });
  EXPECT_TRUE(waiter.waiting());
  waiter.Wake();
  EXPECT_TRUE(waiter.waiting());
  waiter.Wake(asio::error::operation_aborted);
  EXPECT_FALSE(waiter.waiting());
  waiter.Wake();
  EXPECT_EQ(told, (std::vector<std::string>{"first", "failed"}));
}

}  // namespace
}  // namespace signalbox
