#include "notp-client/decision/mask_walker.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/json/json.hpp"
#include "common/limits.hpp"
#include "notp-client/decision/decision_limits.hpp"
#include "notp-client/decision/jws_signatures.hpp"
#include "protocol/feed/token_id.hpp"

namespace notp::decision {
namespace {

constexpr size_t kArgumentsDepth = 2;  // of names in nd_builtin_cache
// What most texts need, so that memory is taken once.
constexpr size_t kPointerBytes = 64, kSteps = 16, kActive = 64;

bool equals_name(ByteView name, std::string_view lower) {
  return std::ranges::equal(name, lower, [](char byte, char expected) {
    if (byte >= 'A' && byte <= 'Z') byte = static_cast<char>(byte - 'A' + 'a');
    return (byte == '_' ? '-' : byte) == expected;
  });
}

bool is_credential_name(ByteView name) {
  switch (name.size()) {
    case 6:
      return equals_name(name, "cookie");
    case 9:
      return equals_name(name, "txn-token");
    case 10:
      return equals_name(name, "set-cookie");
    case 13:
      return equals_name(name, "authorization");
    case 19:
      return equals_name(name, "proxy-authorization");
    default:
      return false;
  }
}

int rank(model::MaskOp op) {
  return op == model::MaskOp::kRemove ? 2 : op == model::MaskOp::kCommit ? 1 : 0;
}

Bytes new_salt(Random& random) {
  Bytes salt;
  for (int half = 0; half < 2; ++half)
    for (uint64_t rest = random.next_u64(), i = 0; i < 8; ++i, rest >>= 8)
      salt.push_back(static_cast<char>(rest & 0xff));
  return salt;
}

// RFC 6901 section 4.
void append_token(std::string& out, ByteView name) {
  const bool is_plain = !name.contains('~') && !name.contains('/');
  if (is_plain) {
    out += name;
    return;
  }
  for (const char byte : name) {
    if (byte == '~')
      out += "~0";
    else if (byte == '/')
      out += "~1";
    else
      out.push_back(byte);
  }
}

}  // namespace

MaskWalker::MaskWalker(ByteView text, std::optional<model::MaskPart> part,
                       std::vector<ActiveMask> masks, WalkSink sink)
    : text_(text), part_(part), sink_(sink), reader_(text), active_(std::move(masks)) {}

Result<std::optional<Bytes>> MaskWalker::run() {
  if (text_.size() > limits::kRecordBytesMax)
    return fail(ErrorCode::kLimit,
                fmt::format("{} bytes, {} are allowed", text_.size(), limits::kRecordBytesMax));
  out_.reserve(text_.size());
  steps_.reserve(kSteps);
  active_.reserve(active_.size() + kActive);
  space();
  bool is_removed = false;
  if (!place({0, active_.size()}, /*is_credential=*/false, is_removed))
    return std::unexpected(reader_.error());
  space();
  if (!reader_.is_at_end()) {
    reader_.refuse("other text after the end of the document");
    return std::unexpected(reader_.error());
  }
  if (is_removed) return std::nullopt;
  flush();
  return std::move(out_);
}

// Reads the value at steps_.
bool MaskWalker::place(Range active, bool is_credential, bool& is_removed) {
  const ActiveMask* const action = action_of(active);
  if (is_quiet_) return value(active, /*is_credential=*/false);
  if (action != nullptr) {
    const ActiveMask chosen = *action;
    const size_t mark = written();
    is_quiet_ = true;
    if (!value(active, /*is_credential=*/false)) return false;
    is_quiet_ = false;
    return perform(chosen, mark, is_removed);
  }
  if (is_credential && reader_.peek() == '"') return blank();
  return value(active, is_credential);
}

bool MaskWalker::value(Range active, bool is_credential) {
  switch (reader_.peek()) {
    case '{':
      return steps_.size() < limits::kJsonDepthMax ? object(active) : reader_.refuse_depth();
    case '[':
      return steps_.size() < limits::kJsonDepthMax ? array(active, is_credential)
                                                   : reader_.refuse_depth();
    case '"':
      return string();
    default:
      return reader_.scalar();
  }
}

// Takes the comma before the next member or element, and drops it when nothing precedes it any
// more.
bool MaskWalker::begin_next(bool is_first, bool has_kept, size_t& mark) {
  mark = written();
  if (is_first) return true;
  if (!reader_.take(',')) return reader_.refuse("a comma or a closing bracket is expected");
  if (!has_kept) cut(mark);
  space();
  return true;
}

bool MaskWalker::object(Range active) {
  std::vector<const CompiledMask*> missing;
  for (size_t i = active.begin; i < active.end && !is_quiet_; ++i)
    if (active_[i].mask->inserts && active_[i].mask->tokens.size() > steps_.size())
      missing.push_back(active_[i].mask);
  reader_.take('{');
  space();
  bool has_kept = false;
  for (bool is_first = true; is_first ? reader_.peek() != '}' : true; is_first = false) {
    size_t mark = 0;
    if (!begin_next(is_first, has_kept, mark)) return false;
    bool is_removed = false;
    if (!member(active, missing, is_removed)) return false;
    if (is_removed)
      cut(mark);
    else
      has_kept = true;
    space();
    if (reader_.peek() == '}') break;
  }
  if (!missing.empty()) {
    flush();
    insert(missing, steps_.size(), has_kept);
    if (out_.size() > limits::kRecordBytesMax) return reader_.refuse_size(limits::kRecordBytesMax);
  }
  return reader_.take('}') || reader_.refuse("a closing brace is expected");
}

bool MaskWalker::member(Range active, std::vector<const CompiledMask*>& missing, bool& is_removed) {
  const size_t mark = written();
  const auto name = reader_.string();
  if (!name) return false;
  const std::string plain = name->has_escapes ? unescape_json(name->raw) : std::string();
  const ByteView key = name->has_escapes ? ByteView(plain) : name->raw;
  const size_t depth = steps_.size(), begin = active_.size();
  for (size_t i = active.begin; i < active.end; ++i) {
    const ActiveMask one = active_[i];
    if (one.mask->tokens.size() <= depth || !one.mask->tokens[depth].matches(key)) continue;
    active_.push_back(one);
    std::erase(missing, one.mask);
  }
  steps_.push_back({.raw = name->raw, .has_escapes = name->has_escapes});
  const size_t names = names_.size();
  mask_name(*name, mark);
  space();
  if (!reader_.take(':')) return reader_.refuse("a colon is expected");
  space();
  const bool is_read = place({begin, active_.size()}, is_credential_name(key), is_removed);
  active_.resize(begin);
  steps_.pop_back();
  names_.resize(names);
  return is_read;
}

bool MaskWalker::array(Range active, bool is_credential) {
  reader_.take('[');
  space();
  if (reader_.take(']')) return true;
  bool has_kept = false;
  for (uint64_t index = 0;; ++index) {
    size_t mark = 0;
    if (!begin_next(index == 0, has_kept, mark)) return false;
    bool is_removed = false;
    if (!element(active, index, is_credential, is_removed)) return false;
    if (is_removed)
      cut(mark);
    else
      has_kept = true;
    space();
    if (reader_.take(']')) return true;
  }
}

bool MaskWalker::element(Range active, uint64_t index, bool is_credential, bool& is_removed) {
  const size_t depth = steps_.size(), begin = active_.size();
  for (size_t i = active.begin; i < active.end; ++i) {
    const ActiveMask one = active_[i];
    if (one.mask->tokens.size() > depth && one.mask->tokens[depth].matches(index))
      active_.push_back(one);
  }
  steps_.push_back({.is_element = true, .index = index});
  // An array in the array is no header.
  const bool is_read =
      place({begin, active_.size()}, is_credential && reader_.peek() == '"', is_removed);
  active_.resize(begin);
  steps_.pop_back();
  return is_read;
}

// Reads a string of a credential.
bool MaskWalker::blank() {
  const size_t mark = written();
  const auto read = reader_.string();
  if (!read) return false;
  if (read->raw.empty()) return true;
  cut(mark);
  out_ += R"("")";
  list(&MaskLists::masked);
  return true;
}

bool MaskWalker::string() {
  const auto read = reader_.string();
  if (!read) return false;
  if (!is_quiet_ && strip_signatures(*read)) list(&MaskLists::masked);
  return true;
}

// Returns the action for the current value: of the rules whose pointer ends here.
const ActiveMask* MaskWalker::action_of(Range active) {
  const ActiveMask* chosen = nullptr;
  for (size_t i = active.begin; i < active.end; ++i) {
    const ActiveMask& one = active_[i];
    if (one.mask->tokens.size() != steps_.size()) continue;
    if (sink_.matched != nullptr) (*sink_.matched)[one.set] |= uint64_t{1} << one.index;
    if (chosen == nullptr || rank(one.mask->op) >= rank(chosen->mask->op)) chosen = &one;
  }
  return chosen;
}

// The value was just read; it begins at `mark` of what is written.
bool MaskWalker::perform(const ActiveMask& action, size_t mark, bool& is_removed) {
  switch (action.mask->op) {
    case model::MaskOp::kRemove:
      is_removed = true;
      list(&MaskLists::erased);
      return true;
    case model::MaskOp::kCommit:
      return commit(mark);
    case model::MaskOp::kUpsert:
      if (action.mask->names_token) {
        name_token(mark);
        break;
      }
      cut(mark);
      out_ += action.mask->value;
      list(&MaskLists::masked);
      break;
  }
  if (out_.size() <= limits::kRecordBytesMax) return true;
  return reader_.refuse_size(limits::kRecordBytesMax);
}

bool MaskWalker::commit(size_t mark) {
  flush();
  has_changed_ = true;
  if (auto name = pointer()) {
    Bytes salt = new_salt(*sink_.random);
    Bytes hmac = hmac_sha256(salt, ByteView(out_).substr(mark));
    sink_.lists->commitments.push_back({*std::move(name), std::move(salt), std::move(hmac)});
  }
  out_.resize(mark);
  out_ += "null";
  return true;
}

void MaskWalker::name_token(size_t mark) {
  constexpr std::string_view kBefore = R"({"id":")", kAfter = R"("})";
  flush();
  const ByteView value = ByteView(out_).substr(mark);
  const bool is_text = value.starts_with('"');
  const bool is_named =
      value.starts_with(kBefore) && value.ends_with(kAfter) &&
      feed::TokenId::from_hex(
          value.substr(kBefore.size()).substr(0, value.size() - kBefore.size() - kAfter.size()));
  if (is_named) return;
  const std::string id =
      is_text ? feed::token_id(unescape_json(value.substr(1, value.size() - 2))).hex() : "";
  out_.resize(mark);
  out_ += is_text ? fmt::format("{}{}{}", kBefore, id, kAfter) : "null";
  list(&MaskLists::masked);
}

// The name of the current member was just read; it begins at `mark` of what is written.
void MaskWalker::mask_name(const JsonReader::String& name, size_t mark) {
  if (is_quiet_) return;
  const bool is_arguments = part_ == model::MaskPart::kNdCache && steps_.size() == kArgumentsDepth;
  if (is_arguments && mask_arguments(name, mark)) return;
  if (!strip_signatures(name)) return;
  flush();
  const ByteView masked = ByteView(out_).substr(mark);
  rewrite_name(unescape_json(masked.substr(1, masked.size() - 2)));
}

// Whether the name is JSON text in which something was masked; then it has been replaced.
bool MaskWalker::mask_arguments(const JsonReader::String& name, size_t mark) {
  const std::string text = unescape_json(name.raw);
  MaskWalker inside(text, std::nullopt, {}, {});
  auto masked = inside.run();
  if (!masked || !inside.has_changed()) return false;
  cut(mark);
  out_ += json_string(**masked);
  rewrite_name(**std::move(masked));
  return true;
}

void MaskWalker::rewrite_name(Bytes name) {
  names_.push_back(std::make_unique<const Bytes>(std::move(name)));
  steps_.back().rewritten = names_.back().get();
  list(&MaskLists::masked);
}

// The string was just read. Returns whether it had signatures.
bool MaskWalker::strip_signatures(const JsonReader::String& string) {
  if (!string.has_dots && !string.has_escapes) return false;
  const auto signatures = find_jws_signatures(string.raw, string.has_escapes);
  const auto begin = static_cast<size_t>(string.raw.data() - text_.data());
  for (const TextRange& signature : signatures) {
    out_ += text_.substr(from_, begin + signature.begin - from_);
    from_ = begin + signature.end;
  }
  return !signatures.empty();
}

// Adds members that upserts of OPA find missing, to an object whose members have all been written.
void MaskWalker::insert(std::span<const CompiledMask* const> masks, size_t depth,
                        bool has_members) {
  if (depth >= limits::kJsonDepthMax) return;
  const auto name_of = [&](const CompiledMask* mask) { return mask->tokens[depth].names.front(); };
  for (auto at = masks.begin(); at != masks.end(); ++at) {
    const std::string& name = (*at)->tokens[depth].names.front();
    if (std::ranges::find(masks, name, name_of) != at) continue;  // written with the first one
    std::vector<const CompiledMask*> deeper;
    const CompiledMask* last = nullptr;
    for (const CompiledMask* const mask : masks) {
      if (name_of(mask) != name) continue;
      if (mask->tokens.size() == depth + 1)
        last = mask;
      else
        deeper.push_back(mask);
    }
    if (std::exchange(has_members, true)) out_.push_back(',');
    const std::string shown = without_jws_signatures(name);
    out_ += json_string(shown) + ":";
    steps_.push_back({.rewritten = &shown});
    if (last != nullptr) {
      out_ += last->value;
      list(&MaskLists::masked);
    } else {
      out_.push_back('{');
      insert(deeper, depth + 1, /*has_members=*/false);
      out_.push_back('}');
    }
    steps_.pop_back();
  }
}

void MaskWalker::space() {
  const char next = reader_.peek();
  if (next != ' ' && next != '\n' && next != '\t' && next != '\r') return;
  flush();
  reader_.skip_space();
  from_ = reader_.at();
}

void MaskWalker::flush() {
  out_ += text_.substr(from_, reader_.at() - from_);
  from_ = reader_.at();
}

// Takes back what was written beyond `mark`.
void MaskWalker::cut(size_t mark) {
  if (mark > out_.size())
    out_ += text_.substr(from_, mark - out_.size());
  else
    out_.resize(mark);
  from_ = reader_.at();
}

void MaskWalker::list(std::vector<std::string> MaskLists::* names) {
  has_changed_ = true;
  if (sink_.lists == nullptr) return;
  auto& known = sink_.lists->*names;
  auto name = pointer();
  // A name that an object repeats is listed once.
  if (name && (known.empty() || known.back() != *name)) known.push_back(*std::move(name));
}

// Returns the pointer of the current value if there is room to name it; else it is counted.
std::optional<std::string> MaskWalker::pointer() const {
  MaskLists& lists = *sink_.lists;
  std::string out;
  out.reserve(kPointerBytes);
  out.push_back('/');
  if (part_) out += model::mask_part_name(*part_);
  const size_t named = lists.erased.size() + lists.masked.size() + lists.commitments.size();
  bool has_room = named < limits::kMaskedPathsMax;
  for (size_t i = 0; i < steps_.size() && has_room; ++i) {
    const Step& step = steps_[i];
    out.push_back('/');
    if (step.is_element)
      fmt::format_to(std::back_inserter(out), "{}", step.index);
    else if (const ByteView name = step.rewritten ? ByteView(*step.rewritten) : step.raw;
             name.size() <= limits::kMaskedPathBytesMax)
      step.has_escapes && !step.rewritten ? append_token(out, unescape_json(name))
                                          : append_token(out, name);
    else
      has_room = false;
    has_room = has_room && out.size() <= limits::kMaskedPathBytesMax;
  }
  if (has_room) return out;
  ++lists.unnamed;
  return std::nullopt;
}

}  // namespace notp::decision
