#include "tools/notp/audit/filter.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "protocol/wire/log_limits.hpp"
#include "tools/notp/audit/times.hpp"
#include "tools/notp/node/node_commands.hpp"
#include "tools/notp/registry_client.hpp"

namespace notp::cli {
namespace {

Result<Hash> find_release_hash(const std::string& text, const FindRelease& find_release) {
  if (auto hash = Hash::from_hex(text)) return *hash;
  auto reference = parse_reference(text);
  if (!reference || reference->version == 0)
    return std::unexpected(Error{
        ErrorCode::kUsage,
        fmt::format("--release {}: not a release", printable(text)),
        {}}.with("hint", "give the hash of a release, or <zone>/<name>@vN"));
  return find_release(*reference);
}

// Paths in records have no slash at either end.
std::string record_path(std::string_view path) {
  while (path.starts_with('/')) path.remove_prefix(1);
  while (path.ends_with('/')) path.remove_suffix(1);
  return std::string(path);
}

// A registry takes so much in one question.
Result<void> check_texts(const FilterOptions& options) {
  const auto check = [](std::string_view option, std::string_view text) -> Result<void> {
    if (text.size() <= limits::kFilterTextBytesMax && is_utf8(text)) return {};
    return fail(ErrorCode::kUsage, fmt::format("{}: not UTF-8, or longer than {} bytes", option,
                                               limits::kFilterTextBytesMax));
  };
  NOTP_TRY(check("--path", options.path));
  NOTP_TRY(check("--contains", options.contains));
  for (const std::string& value : options.values) NOTP_TRY(check("--value", value));
  if (options.values.size() <= limits::kFilterValuesMax) return {};
  return fail(ErrorCode::kUsage,
              fmt::format("--value can be given {} times", limits::kFilterValuesMax));
}

}  // namespace

void add_filter_options(CLI::App& command, FilterOptions& options) {
  const std::string group = "Filters";
  command.add_option("--since", options.since, "Not before this time, or so long ago")
      ->type_name("7d|TIME")
      ->group(group);
  command.add_option("--until", options.until, "Before this time, or so long ago")
      ->type_name("1h|TIME")
      ->group(group);
  command.add_option("--node", options.node, "Of this node; '*' at the end covers several")
      ->type_name("NAME")
      ->group(group);
  command.add_option("--ledger", options.ledger, "Of paths that this ledger owns")
      ->type_name("ZONE/NAME")
      ->group(group);
  command.add_option("--path", options.path, "Of this path and those below it")
      ->type_name("PATH")
      ->group(group);
  command.add_option("--outcome", options.outcome, "With this outcome")
      ->check(CLI::IsMember({"allow", "deny", "other", "undefined", "error"}))
      ->group(group);
  command.add_option("--release", options.release, "Decided with this release")
      ->type_name("HASH|ZONE/NAME@vN")
      ->group(group);
  command
      .add_option("--value", options.values,
                  "With this string or number somewhere in input or result; repeatable: with all")
      ->type_name("V")
      ->allow_extra_args(false)
      ->group(group);
  command.add_option("--contains", options.contains, "With this text anywhere in input or result")
      ->type_name("TEXT")
      ->group(group);
}

Result<std::string> node_pattern(const std::string& text, const std::string& trust_domain) {
  if (text.empty() || text == "*") return std::string();
  if (!text.ends_with('*')) {
    NOTP_ASSIGN(const session::Identity identity, named_identity(text, trust_domain));
    return identity.text();
  }
  if (text.size() > limits::kIdentityBytesMax / 2 || !is_utf8(text))
    return fail(ErrorCode::kUsage, fmt::format("--node {}: too long", printable(text)));
  if (text.contains("://")) return text;
  return fmt::format("spiffe://{}/{}{}", trust_domain, text.contains('/') ? "" : "node/", text);
}

bool is_askable_id(std::string_view text) {
  return !text.empty() && text.size() <= limits::kNameBytesMax && is_utf8(text);
}

FindRelease release_finder(RegistryClient& client) {
  return [&client](const ReleaseReference& reference) -> Result<Hash> {
    wire::HistoryRequest request;
    request.ledger = reference.ledger;
    request.below_version = reference.version + 1;
    request.rows_max = 1;
    NOTP_ASSIGN(const wire::HistoryPage page, client.ask(request));
    if (page.rows.empty() || page.rows.front().version != reference.version)
      return fail(ErrorCode::kNotFound,
                  fmt::format("{} has no version {}", reference.ledger.text(), reference.version));
    return page.rows.front().release_hash;
  };
}

Result<wire::DecisionFilter> make_filter(const FilterOptions& options,
                                         const std::string& trust_domain, TimeMs now_ms,
                                         const FindRelease& find_release) {
  NOTP_TRY(check_texts(options));
  wire::DecisionFilter filter;
  if (!options.since.empty()) {
    NOTP_ASSIGN(const TimeMs since_ms, parse_time(options.since, now_ms));
    filter.since_ms = std::max<TimeMs>(0, since_ms);
  }
  if (!options.until.empty()) {
    NOTP_ASSIGN(filter.until_ms, parse_time(options.until, now_ms));
  }
  if (!options.until.empty() && filter.until_ms <= filter.since_ms)
    return fail(ErrorCode::kUsage,
                fmt::format("--since {} is not before --until {}", options.since, options.until));
  NOTP_ASSIGN(filter.node, node_pattern(options.node, trust_domain));
  if (!options.ledger.empty()) {
    NOTP_ASSIGN(const model::LedgerId ledger, model::LedgerId::parse(options.ledger));
    filter.ledger = ledger.text();
  }
  filter.path = record_path(options.path);
  if (const auto outcome = record::parse_outcome(options.outcome)) filter.outcome = *outcome;
  if (!options.release.empty()) {
    NOTP_ASSIGN(filter.release_hash, find_release_hash(options.release, find_release));
  }
  filter.values = options.values;
  filter.contains = options.contains;
  return filter;
}

}  // namespace notp::cli
