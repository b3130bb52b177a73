// Answers to put into a cache. Tests only.
#pragma once

#include <memory>
#include <string>

#include "dataplane/cache/cached_answer.h"

namespace signalbox::testing {

inline SharedAnswer Answer(const std::string& body) {
  auto answer = std::make_shared<v1::CachedAnswer>();
  answer->set_status(200);
  answer->set_content_type("application/json");
  answer->set_body(body);
  answer->set_provider("openai");
  answer->set_model("gpt-5-mini");
  return answer;
}

// 32 bytes, as keys have; the first one decides the shard.
inline std::string Key(char first, const std::string& name = "") {
  std::string key(1, first);
  key += name;
  key.resize(32, '.');
  return key;
}

}  // namespace signalbox::testing
