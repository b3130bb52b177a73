// What each element type may have: its properties and its outputs. The one table that the validator and the compiler
// read. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "signalbox/v1/route.pb.h"

namespace signalbox {

struct ElementType {
  std::string_view name;
  std::vector<std::string_view> properties;        // JSON names
  std::vector<std::string_view> required_outputs;  // in the order the compiler visits them
  std::vector<std::string_view> optional_outputs;
  bool shares = false;  // outputs are shares: "10%"
};

const std::vector<ElementType>& ElementTypes();
const ElementType* FindElementType(std::string_view name);

// The element's outputs in a fixed order: by type (true before false, success before fallback), then by name.
std::vector<std::string> OrderedOutputs(const v1::Element& element);

}  // namespace signalbox
