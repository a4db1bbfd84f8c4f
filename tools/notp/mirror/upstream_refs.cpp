#include "tools/notp/mirror/upstream_refs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <compare>
#include <optional>

#include "protocol/trust/statements.hpp"
#include "tools/notp/publish/glob.hpp"

namespace notp::cli {
namespace {

constexpr std::string_view kTags = "refs/tags/";
constexpr std::string_view kPeeled = "^{}";
constexpr size_t kNumbersMax = 8;
constexpr std::string_view kDigits = "0123456789";

std::unexpected<Error> refused(std::string_view name, std::string_view why) {
  return fail(ErrorCode::kConfig,
              fmt::format("'{}' is not a name of a branch or tag: {}", printable(name), why));
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  while (true) {
    const size_t end = text.find(separator);
    out.push_back(text.substr(0, end));
    if (end == text.npos) return out;
    text.remove_prefix(end + 1);
  }
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of(kDigits) == text.npos;
}

std::strong_ordering compare_numbers(std::string_view a, std::string_view b) {
  a.remove_prefix(std::min(a.find_first_not_of('0'), a.size()));
  b.remove_prefix(std::min(b.find_first_not_of('0'), b.size()));
  if (const auto by_size = a.size() <=> b.size(); by_size != 0) return by_size;
  return a <=> b;
}

struct Version {
  std::vector<std::string_view> numbers, pre_release;
};

std::optional<Version> version_in(std::string_view text) {
  text = text.substr(0, text.find('+'));
  const size_t dash = text.find('-');
  Version version{split(text.substr(0, dash), '.'), {}};
  if (dash != text.npos) version.pre_release = split(text.substr(dash + 1), '.');
  if (version.numbers.size() > kNumbersMax || !std::ranges::all_of(version.numbers, is_number) ||
      std::ranges::any_of(version.pre_release, &std::string_view::empty))
    return std::nullopt;
  return version;
}

std::strong_ordering compare_identifiers(std::string_view a, std::string_view b) {
  if (is_number(a) && is_number(b)) return compare_numbers(a, b);
  if (is_number(a) != is_number(b)) return is_number(b) <=> is_number(a);
  return a <=> b;
}

// Semantic Versioning 2.0.0 §11.
std::strong_ordering compare(const Version& a, const Version& b) {
  for (size_t i = 0; i < std::max(a.numbers.size(), b.numbers.size()); ++i) {
    const auto number = [i](const Version& v) {
      return i < v.numbers.size() ? v.numbers[i] : std::string_view("0");
    };
    if (const auto order = compare_numbers(number(a), number(b)); order != 0) return order;
  }
  if (a.pre_release.empty() || b.pre_release.empty())
    return a.pre_release.empty() <=> b.pre_release.empty();
  return std::lexicographical_compare_three_way(a.pre_release.begin(), a.pre_release.end(),
                                                b.pre_release.begin(), b.pre_release.end(),
                                                compare_identifiers);
}

// The length of the text before the version, in a pattern and in every tag that matches it.
size_t prefix_bytes(std::string_view pattern) {
  const std::string_view text = pattern.substr(0, pattern.find_first_of("*?[\\"));
  return text.find_last_not_of("0123456789.") + 1;  // npos + 1 is 0
}

}  // namespace

Result<void> check_ref_name(std::string_view name) {
  if (name.empty() || name.size() > kRefNameBytesMax)
    return refused(name, fmt::format("it has 1 to {} bytes", kRefNameBytesMax));
  if (std::ranges::any_of(name, [](char c) { return c <= ' ' || c > '~'; }) ||
      name.find_first_of("~^:?*[\\") != name.npos)
    return refused(name, "only printable ASCII, without spaces and ~^:?*[\\");
  if (name.contains("..") || name.contains("@{") || name == "@" || name.ends_with('.'))
    return refused(name, "it has '..' or '@{', ends with '.', or is '@'");
  for (const std::string_view part : split(name, '/'))
    if (part.empty() || part.starts_with('.') || part.starts_with('-') || part.ends_with(".lock"))
      return refused(name, "a part of it is empty, begins with '.' or '-', or ends with '.lock'");
  return {};
}

Result<std::vector<UpstreamRef>> parse_refs(ByteView output) {
  std::vector<UpstreamRef> refs;
  while (!output.empty()) {
    const size_t end = output.find('\n'), tab = output.find('\t');
    const std::string_view id = output.substr(0, tab);
    if (end == output.npos || tab > end || !trust::is_commit_id(id))
      return fail(ErrorCode::kMessage, "the server's list of branches and tags cannot be read");
    std::string_view name = output.substr(tab + 1, end - tab - 1);
    output.remove_prefix(end + 1);
    const bool is_peeled = name.ends_with(kPeeled);
    if (is_peeled) name.remove_suffix(kPeeled.size());
    if (!name.starts_with("refs/") || !check_ref_name(name)) continue;
    if (!is_peeled && refs.size() == kRefsMax)
      return fail(ErrorCode::kLimit,
                  fmt::format("the server lists more than {} branches and tags", kRefsMax));
    if (!is_peeled)
      refs.push_back({std::string(name), std::string(id), {}});
    else if (!refs.empty() && refs.back().name == name)
      refs.back().peeled = id;
  }
  return refs;
}

Result<UpstreamRef> newest_tag(const std::vector<UpstreamRef>& refs, const std::string& pattern) {
  const Glob glob(pattern);
  const size_t prefix = prefix_bytes(pattern);
  const bool has_pre_releases = pattern.find('-', prefix) != pattern.npos;
  const UpstreamRef* newest = nullptr;
  Version newest_version;
  uint64_t work = 0;
  size_t matching = 0;
  for (const UpstreamRef& ref : refs) {
    if (!ref.name.starts_with(kTags)) continue;
    std::string_view tag = std::string_view(ref.name).substr(kTags.size());
    if (!glob.matches(tag, work)) continue;
    ++matching;
    tag.remove_prefix(std::min(prefix, tag.size()));
    if (tag.starts_with('v')) tag.remove_prefix(1);
    std::optional<Version> version = version_in(tag);
    if (!version || (!version->pre_release.empty() && !has_pre_releases)) continue;
    const auto order =
        newest == nullptr ? std::strong_ordering::greater : compare(*version, newest_version);
    if (order < 0 || (order == 0 && ref.name < newest->name)) continue;
    newest = &ref;
    newest_version = *std::move(version);
  }
  if (newest != nullptr) return *newest;
  return fail(ErrorCode::kNotFound,
              fmt::format("{} tags match '{}', and none of them is a version as in v1.2.3",
                          matching, printable(pattern)));
}

}  // namespace notp::cli
