// Structured logs: one JSON object a line on standard error, written by spdlog. Fields come from
// the call, so that a log can be filtered without parsing prose. A call does not wait for the
// reader of standard error (log_output.hpp).
//
// When standard error is the journal ($JOURNAL_STREAM names its device and inode), each line begins
// with its priority as in sd-daemon(3), "<6>" for info, which the journal takes away.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "common/result.hpp"

namespace notp::log {

enum class Level { kDebug, kInfo, kWarn, kError };
enum class Format { kJson, kText };

using Value = std::variant<std::string, int64_t, uint64_t, double, bool>;
struct Field {
  std::string_view name;
  Value value;
  Field(std::string_view n, std::string_view v) : name(n), value(std::string(v)) {}
  Field(std::string_view n, const std::string& v) : name(n), value(v) {}
  Field(std::string_view n, const char* v) : name(n), value(std::string(v)) {}
  Field(std::string_view n, bool v) : name(n), value(v) {}
  Field(std::string_view n, std::signed_integral auto v) : name(n), value(int64_t{v}) {}
  Field(std::string_view n, std::unsigned_integral auto v) : name(n), value(uint64_t{v}) {}
  Field(std::string_view n, double v) : name(n), value(v) {}
};

// Sets level and format for the process. Call once in main, before threads start.
void configure(Level level, Format format);

// Thread-safe. `event` is a stable snake_case name; `fields` must not repeat a name.
void write(Level level, std::string_view event, std::initializer_list<Field> fields = {});
// Adds the error's code, message and context to the fields.
void write(Level level, std::string_view event, const Error& error,
           std::initializer_list<Field> fields = {});

inline void debug(std::string_view e, std::initializer_list<Field> f = {}) {
  write(Level::kDebug, e, f);
}
inline void info(std::string_view e, std::initializer_list<Field> f = {}) {
  write(Level::kInfo, e, f);
}
inline void warn(std::string_view e, std::initializer_list<Field> f = {}) {
  write(Level::kWarn, e, f);
}
inline void error(std::string_view e, std::initializer_list<Field> f = {}) {
  write(Level::kError, e, f);
}

// Lines that were dropped since the start, because nobody read them.
uint64_t dropped_lines();

// Returns a message for standard error that is no event, as of a program that ends: when that is
// the journal, each line gets the priority of the level.
std::string for_stderr(Level level, std::string_view text);

// Parses "debug", "info", "warn", "error"; "json", "text". kConfig names the allowed values.
Result<Level> parse_level(std::string_view text);
Result<Format> parse_format(std::string_view text);

}  // namespace notp::log
