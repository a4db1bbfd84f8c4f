#include "common/json/yaml.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <istream>
#include <optional>
#include <streambuf>
#include <vector>

#include "common/limits.hpp"

namespace notp {
namespace {

// Leaves yaml-cpp's parser from within an event; caught in read_document.
struct Refused {
  TextPosition position;
  std::string why;
};

constexpr std::string_view kWriteOut =
    ": write the value out; yq -o=json 'explode(.)' does it for a whole file";

TextPosition to_position(const YAML::Mark& mark) {
  return {static_cast<uint32_t>(mark.line + 1), static_cast<uint32_t>(mark.column + 1)};
}

bool all_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

std::string_view without_sign(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  return text;
}

// Core schema: [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?
bool looks_like_number(std::string_view text) {
  text = without_sign(text);
  if (const size_t e = text.find_first_of("eE"); e != std::string_view::npos) {
    if (!all_digits(without_sign(text.substr(e + 1)))) return false;
    text = text.substr(0, e);
  }
  const size_t dot = text.find('.');
  if (dot == std::string_view::npos) return all_digits(text);
  const std::string_view whole = text.substr(0, dot), fraction = text.substr(dot + 1);
  if (whole.empty()) return all_digits(fraction);
  return all_digits(whole) && (fraction.empty() || all_digits(fraction));
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) {
    return (x >= 'A' && x <= 'Z' ? static_cast<char>(x - 'A' + 'a') : x) == y;
  });
}

constexpr std::string_view kMergeKey = "merges mappings for some readers";

// Returns why YAML 1.1 and 1.2 read a plain scalar differently; empty: they do not.
std::string_view ambiguity(std::string_view text) {
  static constexpr std::array<std::string_view, 6> kWords = {"y", "n", "yes", "no", "on", "off"};
  if (std::ranges::any_of(kWords, [&](auto word) { return equals_ignoring_case(text, word); }))
    return "is a boolean to some readers and a string to others";
  const std::string_view body = without_sign(text);
  const bool is_signed = body.size() != text.size();
  if (all_digits(body) && body.size() > 1 && body[0] == '0')
    return "is octal to some readers and decimal to others";
  if (body.size() > 2 && body[0] == '0') {
    const char base = body[1];
    if (base == 'o' || base == 'O' || base == 'b' || base == 'B' || base == 'X' ||
        (base == 'x' && is_signed))
      return "is a number to some readers and a string to others";
  }
  if (body.find('_') != std::string_view::npos) {
    std::string joined(body);
    std::erase(joined, '_');
    if (looks_like_number(joined)) return "is a number to some readers and a string to others";
  }
  if (equals_ignoring_case(body, ".inf") || equals_ignoring_case(body, ".nan"))
    return "has no place in JSON";
  if (text == "<<") return kMergeKey;
  return {};
}

template <typename Number>
std::optional<Number> whole_number(std::string_view digits, int base) {
  Number value{};
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

json::value resolve_integer(std::string_view text, int base, TextPosition at) {
  if (text.starts_with('+')) text.remove_prefix(1);
  if (const auto value = whole_number<int64_t>(text, base)) return *value;
  if (const auto value = whole_number<uint64_t>(text, base)) return *value;
  throw Refused{at, fmt::format("{} is beyond 64 bits; write it as a string", printable(text))};
}

// Returns the value of a plain scalar; nullopt: a string.
std::optional<json::value> resolve_plain(std::string_view text, TextPosition at) {
  if (const auto why = ambiguity(text); why == kMergeKey)
    throw Refused{at, fmt::format("merge keys (<<) are refused{}", kWriteOut)};
  else if (!why.empty())
    throw Refused{at,
                  fmt::format("{} {}; quote it, or write it in another way", printable(text), why)};
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL")
    return json::value(nullptr);
  if (text == "true" || text == "True" || text == "TRUE") return json::value(true);
  if (text == "false" || text == "False" || text == "FALSE") return json::value(false);
  if (all_digits(without_sign(text))) return resolve_integer(text, 10, at);
  const auto is_hex_digit = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  };
  if (text.size() > 2 && text.starts_with("0x") &&
      std::ranges::all_of(text.substr(2), is_hex_digit))
    return resolve_integer(text.substr(2), 16, at);
  if (!looks_like_number(text)) return std::nullopt;
  double value = 0;
  const std::string_view digits = text.starts_with('+') ? text.substr(1) : text;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || end != digits.data() + digits.size() || !std::isfinite(value))
    throw Refused{at, fmt::format("{} is beyond the range of a double", printable(text))};
  return json::value(value);
}

enum class Tag { kPlain, kString, kNull, kBool, kInt, kFloat };

Tag scalar_tag(const std::string& tag, TextPosition at) {
  static constexpr std::pair<std::string_view, Tag> kTags[] = {
      {"?", Tag::kPlain},
      {"", Tag::kPlain},
      {"!", Tag::kString},
      {"tag:yaml.org,2002:str", Tag::kString},
      {"tag:yaml.org,2002:null", Tag::kNull},
      {"tag:yaml.org,2002:bool", Tag::kBool},
      {"tag:yaml.org,2002:int", Tag::kInt},
      {"tag:yaml.org,2002:float", Tag::kFloat}};
  for (const auto& [name, value] : kTags)
    if (tag == name) return value;
  throw Refused{at, fmt::format("the tag {} is not of the core schema", printable(tag))};
}

json::value resolve(Tag tag, const std::string& text, TextPosition at) {
  if (tag == Tag::kString) return json::value(text);
  const auto value = resolve_plain(text, at);
  const auto has_kind = [&] {
    if (!value) return tag == Tag::kPlain;
    const bool integer = value->is_int64() || value->is_uint64();
    return tag == Tag::kPlain || (tag == Tag::kNull && value->is_null()) ||
           (tag == Tag::kBool && value->is_bool()) || (tag == Tag::kInt && integer) ||
           (tag == Tag::kFloat && (integer || value->is_double()));
  };
  if (!has_kind()) throw Refused{at, fmt::format("{} is not what its tag says", printable(text))};
  if (value && tag == Tag::kFloat) return value->to_number<double>();
  return value ? *value : json::value(text);
}

// Builds the JSON value from events, and refuses before anything grows. With a list of faults it
// continues after a fault, and its value is meaningless from then on.
class Builder final : public YAML::EventHandler {
 public:
  explicit Builder(std::vector<YamlFault>* faults) : faults_(faults) {}
  json::value take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    add(json::value(nullptr), to_position(mark));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    refuse({to_position(mark), fmt::format("aliases are refused{}", kWriteOut)});
    if (expects_key())
      begin_placeholder();
    else
      add(json::value(nullptr), to_position(mark));
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    refuse_anchor(mark, anchor);
    const TextPosition at = to_position(mark);
    const bool is_key = expects_key();
    try {
      const Tag kind = scalar_tag(tag, at);
      if (is_key)
        begin_member(kind, text, at);
      else
        add(resolve(kind, text, at), at);
    } catch (const Refused& refused) {
      refuse(refused);
      if (is_key)
        begin_placeholder();
      else
        add(json::value(nullptr), at);
    }
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, "tag:yaml.org,2002:seq", json::array());
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, "tag:yaml.org,2002:map", json::object());
  }
  void OnMapEnd() override { close(); }

 private:
  struct Level {
    json::value value;
    std::string key;  // of the member whose value follows
    bool has_key = false;
    TextPosition start;
  };

  // Leaves the parser without a list, and always once the list is full.
  void refuse(const Refused& refused) {
    if (faults_ == nullptr) throw refused;
    if (faults_->size() + 1 >= kYamlFaultsMax) throw refused;
    faults_->push_back({refused.position, refused.why});
  }
  void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != 0) refuse({to_position(mark), fmt::format("anchors are refused{}", kWriteOut)});
  }
  // Begins a member with a unique name, so that its value is checked.
  void begin_placeholder() {
    levels_.back().key = fmt::format("\x01{}", levels_.back().value.get_object().size());
    levels_.back().has_key = true;
  }
  bool expects_key() const {
    return !levels_.empty() && levels_.back().value.is_object() && !levels_.back().has_key;
  }

  void begin_member(Tag kind, const std::string& text, TextPosition at) {
    Level& level = levels_.back();
    if (kind != Tag::kString) {
      const json::value key = resolve(kind, text, at);
      const bool decimal = key.is_int64() && std::to_string(key.get_int64()) == text;
      if (!key.is_string() && !decimal)
        throw Refused{at, fmt::format("the name {} is not a string; quote it", printable(text))};
    }
    if (level.value.get_object().contains(text))
      throw Refused{at, fmt::format("duplicate key \"{}\"", printable(text))};
    level.key = text;
    level.has_key = true;
  }

  void add(json::value value, TextPosition at) {
    if (levels_.empty()) {
      root_ = std::move(value);
      return;
    }
    Level& level = levels_.back();
    if (level.value.is_array()) {
      level.value.get_array().push_back(std::move(value));
      return;
    }
    if (!level.has_key) throw Refused{at, "a name in a mapping must be a string"};
    level.value.get_object().emplace(level.key, std::move(value));
    level.has_key = false;
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
            std::string_view core_tag, json::value empty) {
    const TextPosition at = to_position(mark);
    refuse_anchor(mark, anchor);
    if (!tag.empty() && tag != "?" && tag != "!" && tag != core_tag)
      refuse({at, fmt::format("the tag {} is not of the core schema", printable(tag))});
    if (expects_key()) throw Refused{at, "a name in a mapping must be a string"};
    if (levels_.size() == limits::kJsonDepthMax)
      throw Refused{at, fmt::format("nested deeper than {} levels", limits::kJsonDepthMax)};
    levels_.push_back({std::move(empty), {}, false, at});
  }
  void close() {
    Level level = std::move(levels_.back());
    levels_.pop_back();
    add(std::move(level.value), level.start);
  }

  std::vector<YamlFault>* const faults_;
  json::value root_;
  std::vector<Level> levels_;
};

class ViewBuffer final : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view text) {
    char* const begin = const_cast<char*>(text.data());  // setg takes no const; nothing is put back
    setg(begin, begin, begin + text.size());
  }
};

// Accepts c-printable (§5.1). NUL in particular would make yaml-cpp guess another encoding.
Result<void> check_characters(std::string_view text) {
  NOTP_TRY(check_encoding(text, ByteOrderMark::kSkipped));
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    if ((byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7f)
      return fail_at(position_at(text, i), "a control character");
  }
  return {};
}

Result<json::value> read_document(std::string_view text, std::vector<YamlFault>* faults) {
  if (text.size() > limits::kYamlBytesMax)
    return fail(ErrorCode::kLimit,
                fmt::format("{} bytes of YAML, {} are allowed; large documents are better JSON",
                            text.size(), limits::kYamlBytesMax));
  NOTP_TRY(check_characters(text));
  try {
    ViewBuffer buffer(text);
    std::istream stream(&buffer);
    YAML::Parser parser(stream);
    Builder builder(faults);
    if (!parser.HandleNextDocument(builder)) return json::value(nullptr);
    json::value value = builder.take();
    if (Builder second(nullptr); parser.HandleNextDocument(second))
      return fail(ErrorCode::kMessage, "more than one YAML document in a file");
    return value;
  } catch (const Refused& refused) {
    return fail_at(refused.position, refused.why);
  } catch (const YAML::ParserException& exception) {
    return fail_at(to_position(exception.mark), exception.msg);
  } catch (const YAML::Exception& exception) {
    return fail(ErrorCode::kMessage, exception.what());
  }
}

}  // namespace

Result<json::value> parse_yaml(std::string_view text) { return read_document(text, nullptr); }

std::vector<YamlFault> find_yaml_faults(std::string_view text) {
  std::vector<YamlFault> faults;
  const auto document = read_document(text, &faults);
  if (!document) faults.push_back({position_of(document.error()), document.error().message});
  return faults;
}

}  // namespace notp
