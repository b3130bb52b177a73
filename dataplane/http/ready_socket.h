// A connected TCP socket that tells when it can be read or written, for one system call a turn of the loop instead of
// one a wait: it is registered once, edge-triggered, with an epoll instance of its io_context's own, which Asio's
// reactor watches as one descriptor. (Asio registers a socket anew for every wait without a buffer, and for every one
// with a buffer it reads in vain first.) Of those that became readable in the same turn the first bytes are read
// together, and what is written meanwhile leaves together, by a SocketBatch. One thread: the io_context's.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/intrusive/list.hpp>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "dataplane/http/socket_batch.h"
#include "dataplane/http/waiter.h"

namespace signalbox {

class Readiness;

class ReadySocket
    : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  // Takes the descriptor over; it does not block from here on.
  explicit ReadySocket(asio::ip::tcp::socket socket);
  ~ReadySocket() { Close(); }
  ReadySocket(const ReadySocket&) = delete;
  ReadySocket& operator=(const ReadySocket&) = delete;

  int descriptor() const { return descriptor_; }  // -1: closed

  // False: there was nothing more to read when last looked at, and no word of more. Urgent data is skipped, as ever.
  bool maybe_readable() const { return readable_ || has_read_ahead(); }
  // Whether bytes, or an error, were taken from the kernel that nobody asked for yet.
  bool has_read_ahead() const { return ahead_ != 0; }
  // How far that can be relied on while nobody waits for this socket: the same number, and not 0, says that the loop
  // has listened to all sockets in each of its turns since. It does as long as anybody waits for one.
  uint64_t listening() const;
  // What is there. 0 without an error: nothing is. Its end is asio::error::eof.
  size_t TryRead(asio::mutable_buffer buffer, error_code& error);
  // What the kernel takes at once of at most SocketPieces::kMax pieces. 0 without an error: nothing.
  size_t TryWrite(std::span<const asio::const_buffer> pieces, error_code& error);
  // Whether others are being told of what they wait for, so that what is written now had better leave with what they
  // write, by WriteTogether.
  bool writes_gather() const;
  // As TryWrite, but when all have been told: `written`, and the pieces, must be there until then. What is cancelled or
  // closed before is not written; `written` says what was in any case. One write at a time.
  auto WriteTogether(std::span<const asio::const_buffer> pieces, size_t& written) {
    written = 0;
    return Awaited([this, pieces = SocketPieces(pieces), &written](auto handler) {
      AwaitWritten(pieces, written, std::move(handler));
    });
  }

  // Until something was heard that TryRead should look at. One at a time; never run by the call itself.
  void AwaitReadable(Waiter::Handler handler);
  auto WaitReadable() {
    return Awaited([this](auto handler) { AwaitReadable(std::move(handler)); });
  }
  // Likewise, after TryWrite took nothing.
  void AwaitWritable(Waiter::Handler handler);
  auto WaitWritable() {
    return Awaited([this](auto handler) { AwaitWritable(std::move(handler)); });
  }

  // Who waits is told operation_aborted, soon.
  void Cancel();
  void Close();
  // The peer sees a reset, not an end.
  void Reset();
  void ShutdownSend();

 private:
  friend class Readiness;

  void Note(uint32_t events);
  void Tell(uint32_t events);
  void NoteRead(int result, size_t room);
  void TakeAhead(std::span<char> memory, int result);
  void KeepAhead();
  void TellWritten(int result, size_t& written);
  void WithdrawWrite();
  void AwaitWritten(const SocketPieces& pieces, size_t& written, Waiter::Handler handler);
  void AwaitAt(Waiter& waiter, Waiter::Handler handler);
  void EndWaitAt(Waiter& waiter, error_code error);

  int descriptor_;
  bool readable_ = false;
  bool reads_fall_short_ = false;  // only an empty read says that there is nothing more
  bool watches_write_ = false;     // from the first wait to write on
  bool gathered_ = false;          // among what is written together
  int ahead_ = 0;                  // so many bytes were read ahead, or -errno
  const char* ahead_data_;         // in the Readiness's memory while it delivers, then in ahead_kept_
  std::unique_ptr<char[]> ahead_kept_;
  error_code fault_;      // it could not be registered
  Readiness* readiness_;  // null: the io_context is going
  Waiter read_waiter_;
  Waiter write_waiter_;
};

// The epoll instance of an io_context and those who wait for its sockets: asio::use_service<Readiness>(io).
class Readiness final : public asio::execution_context::service {
 public:
  using key_type = Readiness;
  static asio::execution_context::id id;

  // Throws boost::system::system_error when the process is out of descriptors.
  explicit Readiness(asio::execution_context& context);

 private:
  friend class ReadySocket;
  static constexpr int kBatch = 128;
  // So many are told before what they write leaves: enough to share a system call, few enough not to keep it waiting.
  static constexpr size_t kTogether = 16;
  static_assert(kTogether <= SocketBatch::kMax);
  static constexpr size_t kAheadBytes = 4 << 10;

  void shutdown() override;
  void Watch(ReadySocket& socket, error_code& error);
  void Forget(ReadySocket& socket);
  // The io_context has work as long as anybody waits.
  void BeginWait();
  void EndWait();
  // Off the caller's stack, as Asio ends what was cancelled.
  void EndSoon(Waiter::Handler handler, error_code error);
  void Arm();
  void Deliver();
  void ReadAhead(std::span<const epoll_event> heard);
  void WriteGathered();
  void KeepUnread();

  asio::io_context& io_;
  asio::posix::stream_descriptor epoll_;
  bool armed_ = false;
  uint64_t lapses_ = 0;  // times that it stopped listening
  size_t waiting_ = 0;
  std::array<epoll_event, kBatch> batch_;  // those being delivered: [next_, end_)
  size_t next_ = 0;
  size_t end_ = 0;
  SocketBatch together_;
  std::array<ReadySocket*, kTogether> readers_;  // whose first bytes were read ahead; null: closed since
  size_t reader_count_ = 0;
  const std::unique_ptr<std::array<std::array<char, kAheadBytes>, kTogether>> ahead_;
  struct Write {
    ReadySocket* socket = nullptr;  // null: withdrawn, or it was told
    SocketPieces pieces;
    size_t* written = nullptr;
    int result = -EAGAIN;
  };
  std::vector<Write> gathered_;
  boost::intrusive::list<ReadySocket, boost::intrusive::constant_time_size<false>> sockets_;
};

}  // namespace signalbox
