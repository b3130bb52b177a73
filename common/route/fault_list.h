// Collects what is wrong with a route, all of it (up to kRouteFaultsMax, past which a last fault says so). One thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "signalbox/v1/route.pb.h"

namespace signalbox {

class FaultList {
 public:
  // `code` is stable snake_case, `element_id` empty for the route as a whole, `message` one sentence.
  void Error(std::string_view code, std::string_view element_id, std::string_view path, std::string_view message) {
    Add(v1::SEVERITY_ERROR, code, element_id, path, message);
  }
  void Warning(std::string_view code, std::string_view element_id, std::string_view path, std::string_view message) {
    Add(v1::SEVERITY_WARNING, code, element_id, path, message);
  }
  size_t errors() const { return errors_; }
  // Further faults are only counted: no use in working out what they say.
  bool full() const;
  // Ordered by path (numbers by value), then as added. The list is empty afterwards.
  std::vector<v1::Fault> Take();

 private:
  void Add(v1::Severity severity, std::string_view code, std::string_view element_id, std::string_view path,
           std::string_view message);

  std::vector<v1::Fault> faults_;
  size_t errors_ = 0;
  size_t left_out_ = 0;
};

void SortFaults(std::vector<v1::Fault>& faults);

// The member of `known` nearest to a misspelt `name`, or empty when none is near.
std::string_view NearestName(std::string_view name, const std::vector<std::string_view>& known);

// "a, b, c"
std::string JoinNames(const std::vector<std::string_view>& names);

}  // namespace signalbox
