#include "tools/notp/output.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "common/bytes.hpp"
#include "common/limits.hpp"
#include "common/size_text.hpp"
#include "protocol/session/identity.hpp"

namespace notp::cli {
namespace {

constexpr TimeMs kRedrawMs = 80;
constexpr size_t kBarColumns = 24;
constexpr std::string_view kHintKey = "hint";

void write_to(std::FILE* stream, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stream);
  std::fflush(stream);
}

std::string padded(std::string_view text, size_t width) {
  const size_t used = shown_columns(text);
  return fmt::format("{}{:{}}", text, "", used < width ? width - used : 0);
}

std::string_view escape(Colour colour) {
  switch (colour) {
    case Colour::kGreen:
      return "\033[32m";
    case Colour::kYellow:
      return "\033[33m";
    case Colour::kRed:
      return "\033[31m";
    case Colour::kCyan:
      return "\033[36m";
    case Colour::kBold:
      return "\033[1m";
    case Colour::kDim:
      return "\033[2m";
  }
  return "";
}

// The default hint for an error without its own.
std::string_view default_hint(ErrorCode code) {
  switch (code) {
    case ErrorCode::kSignature:
      return "is --root the newest root of the trust domain, and the signing key one that it "
             "names? "
             "see 'notp root show'";
    case ErrorCode::kRollback:
    case ErrorCode::kEquivocation:
      return "do not use this registry before a person has looked at it; when it was reset on "
             "purpose, remove the cache of notp ($XDG_CACHE_HOME/notp or ~/.cache/notp)";
    default:
      return "";
  }
}

std::string hint_of(const Error& error) {
  for (const auto& [key, value] : error.context)
    if (key == kHintKey) return value;
  return std::string(default_hint(error.code));
}

}  // namespace

void Output::result(std::string_view text, const json::value& document) const {
  write_to(stdout, is_json() ? pretty_json(document) + "\n" : std::string(text));
}

void Output::raw(std::string_view bytes) const { write_to(stdout, bytes); }

void Output::note(std::string_view line) const {
  if (!is_json()) write_to(stderr, fmt::format("{}\n", line));
}

void Output::error(const Error& error) const {
  if (is_json())
    return write_to(stderr, pretty_json(json::object{{"error", error_object(error)}}) + "\n");
  std::string text = fmt::format("notp: {}\n", error.message);
  if (const std::string hint = hint_of(error); !hint.empty())
    text += fmt::format("hint: {}\n", hint);
  write_to(stderr, text);
}

std::string Output::paint(Colour colour, std::string_view text) const {
  return options_.colour ? fmt::format("{}{}\033[0m", escape(colour), text) : std::string(text);
}

Progress::Progress(const Output& output, std::string label, ProgressUnit unit)
    : enabled_(output.shows_progress()), label_(std::move(label)), unit_(unit) {}

Progress::~Progress() { clear(); }

void Progress::update(uint64_t done, uint64_t total) {
  if (!enabled_) return;
  const TimeMs now_ms = read_clock().boot_ms;
  if (drawn_ && now_ms - drawn_ms_ < kRedrawMs) return;
  drawn_ms_ = now_ms;
  const auto amount = unit_ == ProgressUnit::kBytes ? size_text : human_count;
  std::string line = fmt::format("\r\033[K{} {}", label_, amount(done));
  if (total > 0) {
    const size_t filled = std::min<size_t>(kBarColumns, done * kBarColumns / total);
    line = fmt::format("\r\033[K{} [{:=<{}}{: <{}}] {} of {}", label_, "", filled, "",
                       kBarColumns - filled, amount(done), amount(total));
  }
  write_to(stderr, line);
  drawn_ = true;
}

void Progress::clear() {
  if (drawn_) write_to(stderr, "\r\033[K");
  drawn_ = false;
}

std::string table(const Output& output, const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], shown_columns(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      if (i > 0) line += "  ";
      line += padded(row[i], widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += &row == &rows.front() ? output.paint(Colour::kBold, line) : line;
    text += '\n';
  }
  return text;
}

std::string facts(const std::vector<std::pair<std::string, std::string>>& rows) {
  size_t width = 0;
  for (const auto& [name, value] : rows) width = std::max(width, shown_columns(name));
  std::string text;
  for (const auto& [name, value] : rows)
    text += fmt::format("  {}  {}\n", padded(name, width), value);
  return text;
}

size_t shown_columns(std::string_view text) {
  size_t count = 0;
  bool in_escape = false;
  for (const char c : text) {
    if (c == '\033') in_escape = true;
    if (!in_escape && (static_cast<uint8_t>(c) & 0xC0) != 0x80) ++count;
    if (c == 'm') in_escape = false;
  }
  return count;
}

std::string human_count(uint64_t count) {
  std::string digits = std::to_string(count);
  for (size_t place = digits.size(); place > 3; place -= 3) digits.insert(place - 3, ",");
  return digits;
}

std::string counted(uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", human_count(count), noun, count == 1 ? "" : "s");
}

std::string age(TimeMs time_ms, TimeMs now_ms) {
  const int64_t seconds = (now_ms - time_ms) / 1000;
  if (seconds < 1) return "now";
  if (seconds < 120) return fmt::format("{}s", seconds);
  if (seconds < 120 * 60) return fmt::format("{}m", seconds / 60);
  if (seconds < 48 * 3600) return fmt::format("{}h", seconds / 3600);
  return fmt::format("{}d", seconds / 86400);
}

std::string ago(TimeMs time_ms, TimeMs now_ms) {
  return now_ms - time_ms < 1000 ? "just now" : age(time_ms, now_ms) + " ago";
}

std::string shell_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string shell_word(std::string_view text) {
  const bool is_plain =
      !text.empty() && text.find_first_not_of(
                           "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                           "/._-:=@%+,") == text.npos;
  return is_plain ? std::string(text) : shell_quoted(text);
}

std::string short_identity(std::string_view identity) {
  const auto built_in = session::Identity::parse(identity);
  return built_in ? built_in->short_text() : printable(identity, limits::kIdentityBytesMax);
}

json::object error_object(const Error& error) {
  json::object object{{"code", error_traits(error.code).name}, {"message", error.message}};
  if (const std::string hint = hint_of(error); !hint.empty()) object["hint"] = hint;
  json::object context;
  for (const auto& [key, value] : error.context)
    if (key != kHintKey) context[key] = value;
  if (!context.empty()) object["context"] = std::move(context);
  return object;
}

}  // namespace notp::cli
