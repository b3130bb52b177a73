#include "common/route/element_type.h"

#include <algorithm>

namespace signalbox {

const std::vector<ElementType>& ElementTypes() {
  static const auto& types = *new std::vector<ElementType>{
      {"start", {"cacheTtl"}, {"next"}, {}},
      {"conditional", {"conditions"}, {"true", "false"}, {}},
      {"percentage", {"stickyKey"}, {}, {}, true},
      {"rate",
       {"limitType", "key", "limit", "window", "timezone", "pool", "technique", "onError", "admission", "shadow",
        "unpriced"},
       {"success"},
       {"fallback"}},
      {"model", {"provider", "model", "timeout", "retries", "parameters", "backoff"}, {"success"}, {"fallback"}},
      {"end", {"status", "message"}, {}, {}},
  };
  return types;
}

const ElementType* FindElementType(std::string_view name) {
  for (const ElementType& type : ElementTypes()) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

std::vector<std::string> OrderedOutputs(const v1::Element& element) {
  std::vector<std::string> names;
  for (const auto& [name, output] : element.outputs()) names.push_back(name);
  const ElementType* type = FindElementType(element.type());
  const auto place = [&](const std::string& name) -> size_t {
    if (type == nullptr) return 0;
    const auto& required = type->required_outputs;
    const auto& optional = type->optional_outputs;
    const size_t in_required =
        static_cast<size_t>(std::find(required.begin(), required.end(), name) - required.begin());
    if (in_required < required.size()) return in_required;
    return required.size() + static_cast<size_t>(std::find(optional.begin(), optional.end(), name) - optional.begin());
  };
  std::sort(names.begin(), names.end(), [&](const std::string& a, const std::string& b) {
    return place(a) != place(b) ? place(a) < place(b) : a < b;
  });
  return names;
}

}  // namespace signalbox
