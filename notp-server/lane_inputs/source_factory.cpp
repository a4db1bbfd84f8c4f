#include "notp-server/lane_inputs/source_factory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace notp::lane_inputs {
namespace {

const SourceKind* find_kind(std::string_view name) {
  for (const std::span<const SourceKind> kinds : {event_kinds(), pull_kinds()})
    if (const auto found = std::ranges::find(kinds, name, &SourceKind::name); found != kinds.end())
      return &*found;
  return nullptr;
}

std::unexpected<Error> unknown_kind(std::string_view name, std::string_view kind) {
  return fail(
      ErrorCode::kConfig,
      fmt::format("the source {} is of kind \"{}\", which this build does not have", name, kind));
}

}  // namespace

Result<SourceConfig> load_source(const config::Section& section, std::string_view trust_domain) {
  SourceConfig out{.name = section.text("name"), .kind = section.text("kind"), .terms = nullptr};
  const SourceKind* kind = find_kind(out.kind);
  if (kind == nullptr) return unknown_kind(out.name, out.kind);
  auto terms = kind->load(section, trust_domain);
  if (!terms) return std::unexpected(std::move(terms).error().in(out.name));
  out.terms = *std::move(terms);
  return out;
}

Result<std::unique_ptr<lane::LaneSource>> make_source(const SourceConfig& config,
                                                      const SourceParts& parts) {
  const SourceKind* kind = find_kind(config.kind);
  if (kind == nullptr) return unknown_kind(config.name, config.kind);
  auto source = kind->make(config, parts);
  if (!source)
    return std::unexpected(
        std::move(source).error().in(fmt::format("lane {}, source {}", parts.lane, config.name)));
  return source;
}

}  // namespace notp::lane_inputs
