// Output of the CLI: results on standard output, all else on standard error. With `-o json` a
// command prints one JSON document, and an error is one JSON object on standard error.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "common/json/json.hpp"

namespace notp::cli {

enum class Format : uint8_t { kText, kJson };
enum class Colour : uint8_t { kGreen, kYellow, kRed, kCyan, kBold, kDim };

// Formats output for the terminal. Not thread-safe: the CLI has one thread.
class Output {
 public:
  struct Options {
    Format format = Format::kText;
    bool colour = false;    // escape sequences on standard output
    bool progress = false;  // a progress line on standard error
  };
  explicit Output(Options options) : options_(options) {}

  bool is_json() const { return options_.format == Format::kJson; }
  bool shows_progress() const { return options_.progress; }
  bool has_colour() const { return options_.colour; }

  // Prints the text or, with -o json, the document. Once per command.
  void result(std::string_view text, const json::value& document) const;
  // Writes bytes to standard output unchanged.
  void raw(std::string_view bytes) const;
  // Prints a line for the user on standard error; nothing with -o json.
  void note(std::string_view line) const;
  void error(const Error& error) const;

  std::string paint(Colour colour, std::string_view text) const;

 private:
  Options options_;
};

enum class ProgressUnit : uint8_t { kBytes, kCount };

// A progress line that overwrites itself, about ten times a second at most, and is erased at the
// end.
class Progress {
 public:
  Progress(const Output& output, std::string label, ProgressUnit unit = ProgressUnit::kBytes);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `total` 0: unknown.
  void update(uint64_t done, uint64_t total);
  void clear();

 private:
  bool enabled_;
  bool drawn_ = false;
  TimeMs drawn_ms_ = 0;
  std::string label_;
  ProgressUnit unit_;
};

// Columns two spaces apart; the first row is the header, in bold.
std::string table(const Output& output, const std::vector<std::vector<std::string>>& rows);
// "  name          value" lines, aligned.
std::string facts(const std::vector<std::pair<std::string, std::string>>& rows);

// The number of terminal columns, one for each code point; escape sequences have none.
size_t shown_columns(std::string_view text);
// 12345 as "12,345".
std::string human_count(uint64_t count);
// "1 file", "2 files".
std::string counted(uint64_t count, std::string_view noun);
// "5s", "3m", "2h", "4d" before `now_ms`; "now" for less than a second and for times in the future.
std::string age(TimeMs time_ms, TimeMs now_ms);
// "3m ago", "just now".
std::string ago(TimeMs time_ms, TimeMs now_ms);
// An identity without "spiffe://<trust domain>/".
std::string short_identity(std::string_view identity);
// Quotes the text as one word of a POSIX shell, in single quotes.
std::string shell_quoted(std::string_view text);
// The same for display: quoted only if necessary.
std::string shell_word(std::string_view text);

// {"code", "message", "hint"?, context…}: printed under "error" with -o json.
json::object error_object(const Error& error);

}  // namespace notp::cli
