// The catalogue of log events (schemas/log-events.json), for comparing with what programs have
// really logged.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/json/json.hpp"

namespace notp {

// Immutable after construction. Throws std::runtime_error for a text that is no catalogue.
class LogCatalogue {
 public:
  explicit LogCatalogue(std::string_view text);
  // The one of the sources that NOTP_SOURCE names, read once.
  static const LogCatalogue& of_sources();

  // Says what the catalogue does not know of a line that `program` has logged: event, level,
  // program, a field or its type. nullopt: nothing.
  std::optional<std::string> fault(const json::object& line, std::string_view program) const;
  // The faults of a log, each with its line. What is no JSON object is left out: a worker's words,
  // or a line whose program was killed.
  std::vector<std::string> faults(const std::filesystem::path& log, std::string_view program) const;

 private:
  std::optional<std::string> fault_of_field(const json::object& event, std::string_view name,
                                            const json::value& value) const;

  json::object document_;
};

}  // namespace notp
