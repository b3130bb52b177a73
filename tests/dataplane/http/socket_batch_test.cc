// Real sockets on the loopback, with a ring and without one.
#include "dataplane/http/socket_batch.h"

#include <liburing.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace signalbox {
namespace {

using asio::ip::tcp;

class SocketBatchTest : public ::testing::TestWithParam<bool> {
 protected:
  std::pair<tcp::socket, tcp::socket> Connect() {
    tcp::socket ours(io_), peer(io_);
    peer.connect(acceptor_.local_endpoint());
    acceptor_.accept(ours);
    return {std::move(ours), std::move(peer)};
  }
  // The ring is made with the first of these; where the kernel has none to give, both kinds are the same.
  std::vector<int> Run() {
    const std::span<const int> results = batch_.Run();
    return {results.begin(), results.end()};
  }
  static SocketPieces Pieces(const std::string& text) {
    const asio::const_buffer piece = asio::buffer(text);
    return SocketPieces({&piece, 1});
  }

  asio::io_context io_;
  tcp::acceptor acceptor_{io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
  SocketBatch batch_{GetParam()};
};

TEST_P(SocketBatchTest, EachIsDoneAndResultsAreInOrder) {
  std::vector<std::pair<tcp::socket, tcp::socket>> connections;
  std::vector<std::string> texts;
  for (size_t i = 0; i < SocketBatch::kMax; ++i) {
    connections.push_back(Connect());
    texts.emplace_back(i + 1, static_cast<char>('a' + i % 26));
  }
  for (int round = 0; round < 3; ++round) {
    for (size_t i = 0; i < texts.size(); ++i) batch_.Send(connections[i].first.native_handle(), Pieces(texts[i]));
    EXPECT_EQ(batch_.size(), texts.size());
    const std::vector<int> sent = Run();
    EXPECT_EQ(batch_.size(), 0u);
    std::vector<std::array<char, 64>> memory(texts.size());
    for (size_t i = 0; i < texts.size(); ++i) {
      batch_.Receive(connections[i].second.native_handle(), asio::buffer(memory[i]));
    }
    const std::vector<int> received = Run();
    ASSERT_EQ(sent.size(), texts.size());
    ASSERT_EQ(received.size(), texts.size());
    for (size_t i = 0; i < texts.size(); ++i) {
      EXPECT_EQ(sent[i], static_cast<int>(texts[i].size()));
      ASSERT_EQ(received[i], static_cast<int>(texts[i].size()));
      EXPECT_EQ(std::string(memory[i].data(), texts[i].size()), texts[i]);
    }
  }
}

TEST_P(SocketBatchTest, UsesARingWhereTheKernelHasOne) {
  io_uring ring{};
  const bool kernel_has_one = io_uring_queue_init(2, &ring, 0) == 0;
  if (kernel_has_one) io_uring_queue_exit(&ring);
  auto [first, first_peer] = Connect();
  std::array<char, 8> memory;
  batch_.Receive(first.native_handle(), asio::buffer(memory));
  Run();
  EXPECT_FALSE(batch_.has_ring()) << "for a single one";
  batch_.Receive(first.native_handle(), asio::buffer(memory));
  batch_.Receive(first.native_handle(), asio::buffer(memory));
  Run();
  EXPECT_EQ(batch_.has_ring(), GetParam() && kernel_has_one);
}

TEST_P(SocketBatchTest, NoneWaitsAndEachHasItsOwnError) {
  auto [silent, silent_peer] = Connect();
  auto [ended, ended_peer] = Connect();
  auto [reset, reset_peer] = Connect();
  auto [good, good_peer] = Connect();
  ended_peer.close();
  reset_peer.set_option(asio::socket_base::linger(true, 0));
  reset_peer.close();
  asio::write(good_peer, asio::buffer("fine", 4));
  std::array<std::array<char, 16>, 5> memory;
  batch_.Receive(silent.native_handle(), asio::buffer(memory[0]));
  batch_.Receive(ended.native_handle(), asio::buffer(memory[1]));
  batch_.Receive(reset.native_handle(), asio::buffer(memory[2]));
  batch_.Receive(-1, asio::buffer(memory[3]));
  batch_.Receive(good.native_handle(), asio::buffer(memory[4]));
  EXPECT_EQ(Run(), (std::vector<int>{-EAGAIN, 0, -ECONNRESET, -EBADF, 4}));
  const std::string text = "x";
  batch_.Send(reset.native_handle(), Pieces(text));
  batch_.Send(good.native_handle(), Pieces(text));
  batch_.Send(-1, Pieces(text));
  EXPECT_EQ(Run(), (std::vector<int>{-EPIPE, 1, -EBADF}));
}

TEST_P(SocketBatchTest, AFullSocketTakesWhatFitsAndThenNothing) {
  auto [full, full_peer] = Connect();
  auto [other, other_peer] = Connect();
  const std::string block(64 << 10, 'x'), text = "y";
  int last = 1;
  size_t written = 0;
  while (last > 0) {
    batch_.Send(full.native_handle(), Pieces(block));
    batch_.Send(other.native_handle(), Pieces(text));
    const std::vector<int> results = Run();
    last = results[0];
    EXPECT_EQ(results[1], 1);
    if (last > 0) written += static_cast<size_t>(last);
  }
  EXPECT_EQ(last, -EAGAIN);
  std::string taken(written, '\0');
  asio::read(full_peer, asio::buffer(taken));
  EXPECT_EQ(full_peer.available(), 0u) << "nothing was left to be sent later";
}

TEST_P(SocketBatchTest, PiecesLeaveAsOneWithoutTheEmptyOnes) {
  auto [first, first_peer] = Connect();
  auto [second, second_peer] = Connect();
  const std::array<asio::const_buffer, 4> pieces = {asio::buffer("", 0), asio::buffer("ab", 2), asio::buffer("", 0),
                                                    asio::buffer("cde", 3)};
  batch_.Send(first.native_handle(), SocketPieces(pieces));
  batch_.Send(second.native_handle(), SocketPieces(pieces));
  EXPECT_EQ(Run(), (std::vector<int>{5, 5}));
  for (tcp::socket* const peer : {&first_peer, &second_peer}) {
    std::string text(5, '\0');
    asio::read(*peer, asio::buffer(text));
    EXPECT_EQ(text, "abcde");
  }
}

TEST_P(SocketBatchTest, WithoutARingItGoesOnByCalls) {
  auto [first, first_peer] = Connect();
  auto [second, second_peer] = Connect();
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int next_free = ::dup(acceptor_.native_handle());
  ASSERT_GE(next_free, 0);
  ::close(next_free);
  const rlimit none_left{static_cast<rlim_t>(next_free), before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none_left), 0);
  const std::string text = "x";
  batch_.Send(first.native_handle(), Pieces(text));
  batch_.Send(second.native_handle(), Pieces(text));
  const std::vector<int> results = Run();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_FALSE(batch_.has_ring());
  EXPECT_EQ(results, (std::vector<int>{1, 1}));
}

INSTANTIATE_TEST_SUITE_P(Kinds, SocketBatchTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Ring" : "Calls"; });

}  // namespace
}  // namespace signalbox
