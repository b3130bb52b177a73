// How Converse writes content blocks. Pure; one request's.
#pragma once

#include <set>
#include <string>

#include "dataplane/translate/chat_request.h"

namespace signalbox {

class ConverseBlocks : public BlockFormat {
 public:
  Json Text(std::string text) override;
  Json Image(const Json& image_url, const std::string& path, FirstFault& fault) override;
  Json File(const Json& file, const std::string& path, FirstFault& fault) override;
  Json ToolUse(std::string id, std::string name, Json input) override;
  Json ToolResult(std::string id, Json content, bool is_error) override;
  Json Thinking(const Json& block) override;
  void MarkCache(Json& blocks, const Json& cache_control) override;

  bool called_tools() const { return called_tools_; }

 private:
  // Bedrock takes few characters in a document's name, and no name twice.
  std::string DocumentName(std::string_view filename);

  std::set<std::string> document_names_;
  bool called_tools_ = false;
};

// {"cachePoint":{"type":"default"}}, with the time to live of an Anthropic-style cache_control.
Json CachePoint(const Json& cache_control);

}  // namespace signalbox
