#include "dataplane/translate/aws_event_stream.h"

#include <gmock/gmock.h>

#include <cstring>

#include "absl/strings/escaping.h"
#include "tests/dataplane/translate/aws_message.h"
#include "tests/dataplane/translate/translated.h"

namespace signalbox {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<std::vector<AwsEvent>> Read(std::string_view bytes) { return AwsEventReader().Feed(bytes); }

// The examples that AWS's SDKs are tested with: an empty message, one with a payload, one with a header.
TEST(AwsEventStream, ReadsTheSdksOwnExamples) {
  const std::string empty = absl::HexStringToBytes("000000100000000005c248eb7d98c8ff");
  absl::StatusOr<std::vector<AwsEvent>> events = Read(empty);
  ASSERT_TRUE(events.ok()) << events.status();
  ASSERT_EQ(events->size(), 1u);
  EXPECT_EQ((*events)[0].payload, "");

  const std::string payload =
      absl::HexStringToBytes("0000001d00000000fd528c5a") + "{'foo':'bar'}" + absl::HexStringToBytes("c3653936");
  events = Read(payload);
  ASSERT_TRUE(events.ok()) << events.status();
  EXPECT_EQ((*events)[0].payload, "{'foo':'bar'}");
}

TEST(AwsEventStream, HeadersOfEveryTypeArePassedAndStringsKept) {
  const auto header = [](const char* name, char type, const std::string& value) {
    return std::string(1, static_cast<char>(strlen(name))) + name + type + value;
  };
  const std::string headers = header("yes", 0, "") + header("no", 1, "") + header("byte", 2, "b") +
                              header("short", 3, "sh") + header("int", 4, "intt") + header("long", 5, "longlong") +
                              header("bytes", 6, std::string("\0\3abc", 5)) + AwsStringHeader(":event-type", "x") +
                              header("time", 8, "timetime") + header("uuid", 9, std::string(16, 'u')) +
                              AwsStringHeader("last", "z");
  const absl::StatusOr<std::vector<AwsEvent>> events = Read(AwsMessageOfHeaders(headers, "p"));
  ASSERT_TRUE(events.ok()) << events.status();
  EXPECT_EQ((*events)[0].header(":event-type"), "x");
  EXPECT_EQ((*events)[0].header("last"), "z");
  EXPECT_EQ((*events)[0].header("int"), "");
  EXPECT_EQ((*events)[0].payload, "p");
}

TEST(AwsEventStream, MessagesMayBeCutAnywhere) {
  const std::string bytes = AwsEventMessage("a", "1") + AwsEventMessage("b", "") + AwsEventMessage("c", "333");
  for (size_t piece = 1; piece < bytes.size(); ++piece) {
    AwsEventReader reader;
    std::string types;
    for (size_t at = 0; at < bytes.size(); at += piece) {
      const absl::StatusOr<std::vector<AwsEvent>> events = reader.Feed(std::string_view(bytes).substr(at, piece));
      ASSERT_TRUE(events.ok()) << piece;
      for (const AwsEvent& event : *events) types += std::string(event.header(":event-type")) + event.payload;
    }
    EXPECT_EQ(types, "a1bc333") << piece;
    EXPECT_TRUE(reader.at_boundary());
  }
  AwsEventReader cut;
  ASSERT_TRUE(cut.Feed(std::string_view(bytes).substr(0, bytes.size() - 1)).ok());
  EXPECT_FALSE(cut.at_boundary());
}

TEST(AwsEventStream, EveryFlippedBitIsNoticed) {
  const std::string bytes = AwsEventMessage("contentBlockDelta", R"({"delta":{"text":"x"}})");
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    EXPECT_EQ(Read(flipped).status().code(), absl::StatusCode::kDataLoss) << bit;
  }
}

TEST(AwsEventStream, ImpossibleLengthsAreRefused) {
  EXPECT_THAT(std::string(Read(WithCrc(BigEndian32(15) + BigEndian32(0))).status().message()),
              HasSubstr("a length is impossible"));
  EXPECT_THAT(std::string(Read(WithCrc(BigEndian32(20) + BigEndian32(5))).status().message()),
              HasSubstr("a length is impossible"));
  EXPECT_EQ(Read(WithCrc(BigEndian32(5 << 20) + BigEndian32(0))).status().code(), absl::StatusCode::kResourceExhausted);
  // A header whose name or value passes the end of all headers.
  EXPECT_THAT(std::string(Read(AwsMessageOfHeaders(std::string("\x09"
                                                               "abc",
                                                               4),
                                                   ""))
                              .status()
                              .message()),
              HasSubstr("a header ends nowhere"));
  EXPECT_EQ(Read(AwsMessageOfHeaders(std::string("\x01"
                                                 "a\x07\x01\x00"
                                                 "v",
                                                 6),
                                     ""))
                .status()
                .code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(Read(AwsMessageOfHeaders(std::string("\x01"
                                                 "a\x0a",
                                                 3),
                                     ""))
                .status()
                .code(),
            absl::StatusCode::kDataLoss);
}

TEST(AwsEventStream, MutatedBytesNeverCrash) {
  const std::string bytes = AwsEventMessage("a", "1") + AwsEventMessage("b", R"({"x":1})");
  for (uint32_t seed = 0; seed < 2'000; ++seed) {
    Mutator mutator(seed);
    const std::string mutated = mutator.Mutate(bytes);
    AwsEventReader reader;
    for (size_t at = 0; at < mutated.size(); at += 7) {
      if (!reader.Feed(std::string_view(mutated).substr(at, 7)).ok()) break;
    }
    // Behind a right CRC anything may stand.
    const absl::StatusOr<std::vector<AwsEvent>> events = Read(AwsMessageOfHeaders(mutated, "p"));
    ASSERT_TRUE(!events.ok() || (*events)[0].payload == "p") << "seed " << seed;
  }
}

}  // namespace
}  // namespace signalbox
