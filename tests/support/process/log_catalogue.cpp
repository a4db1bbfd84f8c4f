#include "tests/support/process/log_catalogue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include "tests/support/process/process.hpp"

namespace notp {
namespace {

bool holds(const json::value& list, std::string_view name) {
  return std::ranges::any_of(list.as_array(),
                             [&](const json::value& one) { return one.as_string() == name; });
}

bool has_type(const json::value& value, std::string_view type) {
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_bool();
  return type == "integer" && (value.is_int64() || value.is_uint64());
}

std::string_view text_in(const json::object& line, std::string_view name) {
  const json::value* value = line.if_contains(name);
  return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : "";
}

}  // namespace

LogCatalogue::LogCatalogue(std::string_view text) {
  auto parsed = parse_json(text);
  if (!parsed || !parsed->is_object())
    throw std::runtime_error("the catalogue of log events is not a JSON object");
  document_ = parsed->get_object();
}

const LogCatalogue& LogCatalogue::of_sources() {
  static const LogCatalogue catalogue = [] {
    const char* sources = std::getenv("NOTP_SOURCE");
    if (sources == nullptr)
      throw std::runtime_error("NOTP_SOURCE is not set; run the tests with tools/test");
    return LogCatalogue(read_text(std::filesystem::path(sources) / "schemas/log-events.json"));
  }();
  return catalogue;
}

std::optional<std::string> LogCatalogue::fault(const json::object& line,
                                               std::string_view program) const {
  const std::string_view name = text_in(line, "event");
  const json::value* found = document_.at("events").as_object().if_contains(name);
  if (found == nullptr) return fmt::format("the event '{}' is not in the catalogue", name);
  const json::object& event = found->as_object();
  if (!holds(event.at("levels"), text_in(line, "level")))
    return fmt::format("'{}' has not the level {}", name, text_in(line, "level"));
  if (!holds(event.at("programs"), program))
    return fmt::format("'{}' is no event of {}", name, program);
  for (const auto& [field, value] : line)
    if (auto wrong = fault_of_field(event, field, value))
      return fmt::format("'{}' {}", name, *wrong);
  return std::nullopt;
}

std::optional<std::string> LogCatalogue::fault_of_field(const json::object& event,
                                                        std::string_view name,
                                                        const json::value& value) const {
  const json::value* error = event.if_contains("error");
  const bool of_error =
      error != nullptr && error->as_bool() &&
      (name == "code" || name == "message" || holds(document_.at("error_context"), name));
  const bool of_every_line = name == "time" || name == "level" || name == "event";
  if (!of_every_line && !of_error && !holds(event.at("fields"), name))
    return fmt::format("has no field '{}'", name);
  const json::value* field = document_.at("fields").as_object().if_contains(name);
  if (field == nullptr) return fmt::format("has a field '{}' without a type", name);
  const std::string_view type = field->as_object().at("type").as_string();
  if (!has_type(value, type)) return fmt::format("has a field '{}' that is no {}", name, type);
  return std::nullopt;
}

std::vector<std::string> LogCatalogue::faults(const std::filesystem::path& log,
                                              std::string_view program) const {
  std::vector<std::string> out;
  std::ifstream in(log);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with('{')) continue;
    const auto parsed = parse_json(line);
    if (!parsed || !parsed->is_object()) continue;
    if (const auto wrong = fault(parsed->get_object(), program))
      out.push_back(fmt::format("{}: {}", *wrong, line));
  }
  return out;
}

}  // namespace notp
