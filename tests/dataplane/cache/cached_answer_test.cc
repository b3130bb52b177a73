#include "dataplane/cache/cached_answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/dataplane/cache/answers.h"

namespace signalbox::testing {
namespace {

using ::testing::HasSubstr;

TEST(CachedAnswer, TravelsUnchanged) {
  v1::CachedAnswer answer = *Answer(std::string("data: {}\n\n\0\xff", 12));
  answer.set_stream(true);
  answer.set_cost_nanos(1'234);
  v1::CachedAnswer::Header& header = *answer.add_headers();
  header.set_name("x-request-id");
  header.set_value("req_1");
  const absl::StatusOr<SharedAnswer> back = DecodeAnswer(Key('a'), EncodeAnswer(Key('a'), answer));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ((*back)->SerializeAsString(), answer.SerializeAsString());
}

TEST(CachedAnswer, AFlippedBitIsNoticedWhereverItIs) {
  const std::string bytes = EncodeAnswer(Key('a'), *Answer("hello"));
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    EXPECT_EQ(DecodeAnswer(Key('a'), damaged).status().code(), absl::StatusCode::kDataLoss) << "byte " << i;
  }
}

TEST(CachedAnswer, ACutAnswerIsNoticedWhereverItEnds) {
  const std::string bytes = EncodeAnswer(Key('a'), *Answer("hello"));
  for (size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_EQ(DecodeAnswer(Key('a'), bytes.substr(0, i)).status().code(), absl::StatusCode::kDataLoss) << i << " bytes";
  }
}

TEST(CachedAnswer, AnAnswerUnderAnotherKeyIsRefused) {
  const auto decoded = DecodeAnswer(Key('b'), EncodeAnswer(Key('a'), *Answer("hello")));
  EXPECT_EQ(decoded.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(decoded.status().message()), HasSubstr("checksum"));
}

TEST(CachedAnswer, AnotherVersionIsRefusedByName) {
  std::string bytes = EncodeAnswer(Key('a'), *Answer("hello"));
  bytes[3] = '2';
  EXPECT_THAT(std::string(DecodeAnswer(Key('a'), bytes).status().message()), HasSubstr("another version"));
}

TEST(CachedAnswer, CountsItsHeadersAndBody) {
  v1::CachedAnswer answer = *Answer(std::string(1'000, 'x'));
  const size_t without = AnswerBytes(answer);
  EXPECT_GT(without, 1'000u);
  v1::CachedAnswer::Header& header = *answer.add_headers();
  header.set_name("x");
  header.set_value(std::string(500, 'y'));
  EXPECT_GE(AnswerBytes(answer), without + 501);
}

}  // namespace
}  // namespace signalbox::testing
