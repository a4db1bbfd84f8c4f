#include "common/json/json_changes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <span>
#include <utility>

#include "common/json/json.hpp"
#include "common/json/json_tokens.hpp"
#include "common/limits.hpp"

namespace notp {
namespace {

constexpr std::string_view kWhitespace = " \t\r\n";
constexpr std::string_view kDelimiters = " \t\r\n,]}";
// Compared as a block, before searching the byte that differs.
constexpr size_t kBlockBytes = 4096;

size_t common_prefix(ByteView a, ByteView b) {
  const size_t size = std::min(a.size(), b.size());
  size_t at = 0;
  while (at + kBlockBytes <= size && std::memcmp(a.data() + at, b.data() + at, kBlockBytes) == 0)
    at += kBlockBytes;
  while (at < size && a[at] == b[at]) ++at;
  return at;
}

size_t common_suffix(ByteView a, ByteView b) {
  const size_t size = std::min(a.size(), b.size());
  const char* const a_end = a.data() + a.size();
  const char* const b_end = b.data() + b.size();
  size_t count = 0;
  while (count + kBlockBytes <= size &&
         std::memcmp(a_end - count - kBlockBytes, b_end - count - kBlockBytes, kBlockBytes) == 0)
    count += kBlockBytes;
  while (count < size &&
         a_end[-1 - static_cast<ptrdiff_t>(count)] == b_end[-1 - static_cast<ptrdiff_t>(count)])
    ++count;
  return count;
}

bool opens(char c) { return c == '{' || c == '['; }
bool closes(char c) { return c == '}' || c == ']'; }
bool is_scalar(char c) { return !opens(c) && !closes(c) && c != ',' && c != ':'; }

// A run of tokens of one text.
struct TokenRun {
  ByteView text;
  std::span<const uint32_t> places;
  size_t end;  // of the run in the text
  size_t at = 0;

  bool done() const { return at == places.size(); }
  // At the end it returns a byte that cannot begin a token.
  char look() const { return done() ? '\0' : text[places[at]]; }
  size_t offset() const { return done() ? end : places[at]; }
  ByteView token(size_t index) const {
    const size_t next = index + 1 < places.size() ? places[index + 1] : end;
    const ByteView token = text.substr(places[index], next - places[index]);
    return token.substr(0, token.find_last_not_of(kWhitespace) + 1);
  }
  // Skips the rest of a container that is open `depth` levels deep. False: it has no end.
  bool skip(size_t depth) {
    for (; !done() && depth > 0; ++at) {
      if (opens(look())) ++depth;
      if (closes(look())) --depth;
    }
    return depth == 0;
  }
  bool skip_value() {
    if (done()) return false;
    const char first = look();
    if (!opens(first) && !is_scalar(first)) return false;
    ++at;
    return is_scalar(first) || skip(1);
  }
};

// Returns the text of a string token, in `storage` when it differs from the token. nullopt when the
// token does not have a unique meaning.
std::optional<ByteView> unescaped(ByteView token, std::string& storage) {
  if (token.size() < 2 || !token.starts_with('"') || !token.ends_with('"')) return std::nullopt;
  const ByteView inner = token.substr(1, token.size() - 2);
  if (inner.find('\\') == ByteView::npos) return inner;
  json::error_code error;
  const json::value value = json::parse(token, error);
  if (error || !value.is_string()) return std::nullopt;
  storage = value.get_string();
  return storage;
}

// One step of a path, by tokens: an element's index, or the token of a member's name.
struct Step {
  ByteView name;  // empty for an element
  size_t index = 0;
};

struct Change {
  std::vector<Step> path;
  size_t offset;
  size_t size;
};

std::optional<std::vector<std::string>> path_text(std::span<const Step> outer,
                                                  std::span<const Step> inner) {
  std::vector<std::string> path;
  for (const auto& steps : {outer, inner})
    for (const Step& step : steps) {
      if (step.name.empty()) {
        path.push_back(std::to_string(step.index));
        continue;
      }
      std::string storage;
      const auto name = unescaped(step.name, storage);
      if (!name) return std::nullopt;
      path.emplace_back(*name);
    }
  return path;
}

// Walks the tokens of an old and a new value side by side.
class Comparison {
 public:
  Comparison(TokenRun old_run, TokenRun new_run, size_t depth)
      : old_(old_run), new_(new_run), depth_(depth) {}

  // False when one of them is not a single value, or is too deep.
  bool run() { return value() && old_.done() && new_.done(); }
  std::vector<Change>& changes() { return changes_; }

 private:
  bool value() {
    if (old_.done() || new_.done()) return false;
    const char first = new_.look();
    const bool both_open = opens(first) && old_.look() == first;
    if (both_open) return ++depth_ <= limits::kJsonDepthMax && container(first == '{');
    const size_t start = new_.offset();
    const ByteView old_token = old_.token(old_.at);
    const ByteView new_token = new_.token(new_.at);
    const bool same = is_scalar(first) && old_token == new_token;
    if (!old_.skip_value() || !new_.skip_value()) return false;
    if (!same) record(start);
    return true;
  }

  // Records the value from `start` to the next token.
  void record(size_t start) {
    const size_t last = new_.places[new_.at - 1];
    const size_t end = last + new_.token(new_.at - 1).size();
    changes_.push_back({path_, start, end - start});
  }

  bool container(bool object) {
    const size_t start = new_.offset();
    const size_t changes_before = changes_.size();
    const size_t names_before = names_.size();
    ++old_.at;
    ++new_.at;
    bool whole = !members(object, changes_before);
    if (broken_) return false;
    if (whole && (!old_.skip(1) || !new_.skip(1))) return false;
    whole = whole || (object && ambiguous(changes_before, names_before));
    names_.resize(names_before);
    --depth_;
    if (whole) {
      changes_.resize(changes_before);
      record(start);
    }
    return true;
  }

  // Walks to the end of a container; false when the members stop being the same, or too many
  // differ.
  bool members(bool object, size_t changes_before) {
    if (closes(old_.look()) && old_.look() == new_.look()) return close();
    for (size_t index = 0;; ++index) {
      Step step{.name = {}, .index = index};
      if (object) {
        if (old_.look() != '"' || new_.look() != '"') return false;
        step.name = new_.token(new_.at);
        if (step.name != old_.token(old_.at)) return false;
        names_.push_back(step.name);
        ++old_.at;
        ++new_.at;
        if (old_.look() != ':' || new_.look() != ':') return false;
        ++old_.at;
        ++new_.at;
      }
      if (closes(old_.look()) || closes(new_.look())) return false;
      path_.push_back(step);
      broken_ = broken_ || !value();
      path_.pop_back();
      if (broken_ || old_.look() != new_.look()) return false;
      if (changes_.size() - changes_before > limits::kJsonChangesMax) return false;
      if (new_.look() == (object ? '}' : ']')) return close();
      if (new_.look() != ',') return false;
      ++old_.at;
      ++new_.at;
    }
  }
  bool close() {
    ++old_.at;
    ++new_.at;
    return true;
  }

  // Whether the name of a changed member occurs twice in the object that was just walked.
  bool ambiguous(size_t changes_before, size_t names_before) const {
    if (changes_.size() == changes_before) return false;
    std::set<std::string, std::less<>> changed;
    std::string storage;
    for (size_t i = changes_before; i < changes_.size(); ++i) {
      const auto name = unescaped(changes_[i].path[path_.size()].name, storage);
      if (!name) return true;
      changed.emplace(*name);
    }
    std::set<std::string_view> seen;
    for (size_t i = names_before; i < names_.size(); ++i) {
      const auto name = unescaped(names_[i], storage);
      if (!name) return true;
      const auto found = changed.find(*name);
      if (found != changed.end() && !seen.insert(*found).second) return true;
    }
    return false;
  }

  TokenRun old_;
  TokenRun new_;
  size_t depth_;
  bool broken_ = false;
  std::vector<Step> path_;
  std::vector<ByteView> names_;  // of the objects on the way, concatenated
  std::vector<Change> changes_;
};

// A container of the new text that is open where the texts begin to differ.
struct Frame {
  uint32_t open = 0;  // its token
  bool object = false;
  bool name_repeats = false;  // the name of the member on the way occurs twice
  Step step;                  // to the member on the way
};

// A value that contains the whole difference, by its tokens.
struct Candidate {
  uint32_t first = 0;
  uint32_t past = 0;  // behind its last
  size_t frames = 0;  // number of enclosing containers
};

// The path in the new text down to the first byte that differs.
class Descent {
 public:
  Descent(ByteView text, std::span<const uint32_t> places, size_t begin, size_t end)
      : all_{.text = text, .places = places, .end = text.size()},
        places_(places),
        begin_(begin),
        end_(end) {}

  // False when the text is not JSON or too deep.
  bool run() {
    next_ = static_cast<size_t>(std::ranges::lower_bound(places_, begin_) - places_.begin());
    if (!look_back()) return false;
    look_at_value();
    if (!look_ahead()) return false;
    std::erase_if(candidates_, [&](const Candidate& c) { return !holds_difference(c); });
    return true;
  }

  // Returns them from the deepest outwards, without the root, and without those below a duplicate
  // name.
  std::vector<Candidate> candidates() const {
    size_t frames = frames_.size();
    for (size_t i = 0; i < frames_.size(); ++i)
      if (frames_[i].name_repeats) frames = std::min(frames, i);
    std::vector<Candidate> kept;
    for (const Candidate& candidate : candidates_)
      if (candidate.frames > 0 && candidate.frames <= frames) kept.push_back(candidate);
    return kept;
  }
  std::vector<Step> path_to(const Candidate& candidate) const {
    std::vector<Step> path;
    for (size_t i = 0; i < candidate.frames; ++i) path.push_back(frames_[i].step);
    return path;
  }
  size_t end_of(const Candidate& candidate) const {
    const size_t last = candidate.past - 1;
    return all_.places[last] + all_.token(last).size();
  }

 private:
  // Whether the end of the value here ends the old one, too: the same bytes follow.
  bool holds_difference(const Candidate& candidate) const {
    const size_t end = end_of(candidate);
    return end >= end_ && (end == all_.text.size() || kDelimiters.contains(all_.text[end]));
  }

  // Visits each token once, from the difference to both ends; containers beside the way are only
  // counted.
  static int depth_step(char c) { return opens(c) ? 1 : closes(c) ? -1 : 0; }

  // Finds the open containers, and the steps between them.
  bool look_back() {
    Frame frame;
    bool member_seen = false;  // the one on the way
    size_t inside = 0;
    for (size_t i = next_; i-- > 0;) {
      const char c = all_.text[places_[i]];
      if (inside > 0) {
        inside -= static_cast<size_t>(depth_step(c));
      } else if (closes(c)) {
        ++inside;
      } else if (opens(c)) {
        if (frames_.size() == limits::kJsonDepthMax) return false;
        frame.open = static_cast<uint32_t>(i);
        frame.object = c == '{';
        frames_.push_back(std::exchange(frame, {}));
        member_seen = false;
      } else if (c == ',') {
        ++frame.step.index;
        member_seen = true;
      } else if (c == ':' && i > 0) {
        if (std::exchange(member_seen, true))
          note_name(frame, i - 1);
        else
          frame.step.name = all_.token(i - 1);
      }
    }
    std::ranges::reverse(frames_);
    return inside == 0;
  }

  // Finds the value that begins with the difference, or the scalar that contains it.
  void look_at_value() {
    if (frames_.empty() || next_ == 0) return;
    const auto token_before = [&](size_t count) {
      return next_ < count ? '\0' : all_.text[places_[next_ - count]];
    };
    const char before = token_before(1);
    const bool object = frames_.back().object;
    size_t at = next_;
    if (is_scalar(before)) {
      if (object && token_before(2) != ':') return;
      --at;
    } else if ((before == ',' && object) || closes(before) || (opens(before) && object) ||
               at == places_.size() || places_[at] != begin_) {
      return;
    }
    TokenRun run = all_;
    run.at = at;
    if (run.skip_value())
      candidates_.push_back({.first = static_cast<uint32_t>(at),
                             .past = static_cast<uint32_t>(run.at),
                             .frames = frames_.size()});
  }

  // Finds the ends of the containers, and later duplicates of the names on the way.
  bool look_ahead() {
    size_t open = frames_.size();
    size_t inside = 0;
    size_t i = next_;
    for (; i < places_.size() && open > 0; ++i) {
      const char c = all_.text[places_[i]];
      if (inside > 0) {
        inside += static_cast<size_t>(depth_step(c));
      } else if (opens(c)) {
        ++inside;
      } else if (closes(c)) {
        --open;
        candidates_.push_back(
            {.first = frames_[open].open, .past = static_cast<uint32_t>(i + 1), .frames = open});
      } else if (c == ':' && i > 0) {
        note_name(frames_[open - 1], i - 1);
      }
    }
    return open == 0;
  }

  void note_name(Frame& frame, size_t token) {
    if (frame.name_repeats || frame.step.name.empty()) return;
    const ByteView name = all_.token(token);
    // Its own colon may follow the difference.
    if (name.data() != frame.step.name.data())
      frame.name_repeats = same_name(name, frame.step.name);
  }
  static bool same_name(ByteView a, ByteView b) {
    if (a == b) return true;
    if (a.find('\\') == ByteView::npos && b.find('\\') == ByteView::npos) return false;
    std::string a_storage;
    std::string b_storage;
    const auto a_text = unescaped(a, a_storage);
    const auto b_text = unescaped(b, b_storage);
    return !a_text || !b_text || *a_text == *b_text;
  }

  const TokenRun all_;
  const std::span<const uint32_t> places_;
  const size_t begin_;
  const size_t end_;
  size_t next_ = 0;  // the first token at or after the difference
  std::vector<Frame> frames_;
  std::vector<Candidate> candidates_;
};

// Compares one value of both texts; nullopt when they are not one value each.
std::optional<std::vector<Change>> compare(ByteView old_value, TokenRun new_run, size_t depth) {
  const auto tokens = JsonTokens::find(old_value);
  if (!tokens) return std::nullopt;
  const TokenRun old_run{.text = old_value, .places = tokens->places(), .end = old_value.size()};
  Comparison comparison(old_run, new_run, depth);
  if (!comparison.run()) return std::nullopt;
  return std::move(comparison.changes());
}

// `names` of the steps are views of the new text.
struct Found {
  std::vector<Step> outer;
  std::vector<Change> changes;
};

std::optional<Found> find(ByteView old_text, ByteView new_text) {
  // Number of outer values to try when the deepest one has other tokens in the old text.
  constexpr size_t kTriesMax = 3;
  const auto tokens = JsonTokens::find(new_text);
  if (!tokens || old_text.size() > limits::kJsonChangesBytesMax) return std::nullopt;
  const size_t begin = common_prefix(old_text, new_text);
  const size_t same_end = common_suffix(old_text.substr(begin), new_text.substr(begin));
  Descent descent(new_text, tokens->places(), begin, new_text.size() - same_end);
  if (!descent.run()) return std::nullopt;
  size_t tries = 0;
  for (const Candidate& candidate : descent.candidates()) {
    if (++tries > kTriesMax) break;
    const size_t start = tokens->places()[candidate.first];
    const size_t end = descent.end_of(candidate);
    const size_t old_end = old_text.size() - (new_text.size() - end);
    const TokenRun run{
        .text = new_text,
        .places = tokens->places().subspan(candidate.first, candidate.past - candidate.first),
        .end = end};
    auto changes = compare(old_text.substr(start, old_end - start), run, candidate.frames);
    if (changes) return Found{descent.path_to(candidate), *std::move(changes)};
  }
  auto changes =
      compare(old_text, {.text = new_text, .places = tokens->places(), .end = new_text.size()}, 0);
  if (!changes) return std::nullopt;
  return Found{{}, *std::move(changes)};
}

}  // namespace

std::optional<std::vector<ChangedMember>> find_changed_members(ByteView old_text,
                                                               ByteView new_text) {
  if (old_text == new_text) return std::vector<ChangedMember>();
  const auto found = find(old_text, new_text);
  if (!found) return std::nullopt;
  std::vector<ChangedMember> members;
  size_t bytes = 0;
  for (const Change& change : found->changes) {
    bytes += change.size;
    if (bytes > new_text.size() / 2 || !is_json(new_text.substr(change.offset, change.size)))
      return std::nullopt;
    auto path = path_text(found->outer, change.path);
    if (!path || path->empty()) return std::nullopt;
    members.push_back({*std::move(path), change.offset, change.size});
  }
  return members;
}

std::optional<Bytes> find_json_changes(ByteView old_text, ByteView new_text) {
  const auto members = find_changed_members(old_text, new_text);
  if (!members) return std::nullopt;
  Bytes out = "[";
  for (const ChangedMember& member : *members) {
    if (out.size() > 1) out += ',';
    out += "[[";
    for (size_t i = 0; i < member.path.size(); ++i)
      out.append(i == 0 ? "" : ",").append(json::serialize(json::string_view(member.path[i])));
    out.append("],").append(new_text.substr(member.offset, member.size)).append("]");
  }
  return out += ']';
}

}  // namespace notp
