#include "notp-server/lane/lane_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/limits.hpp"
#include "common/storage/private_files.hpp"

namespace notp::lane {
namespace {

Result<Grant> load_grant(const config::Section& section, const Attributes& kept,
                         std::string_view trust_domain) {
  Grant out;
  for (const std::string& text : section.texts("nodes")) {
    NOTP_ASSIGN(auto pattern, session::IdentityPattern::parse(text, trust_domain));
    out.nodes.push_back(std::move(pattern));
  }
  out.audiences = section.texts("audiences");
  out.clients = section.texts("clients");
  out.attributes = kept;
  if (section.has("attributes")) {
    NOTP_ASSIGN(out.attributes, Attributes::parse(section.texts("attributes")));
  }
  if (!kept.covers(out.attributes))
    return fail(ErrorCode::kConfig,
                "a grant has an attribute that the lane does not keep: name it under the lane's "
                "attributes too");
  if (!out.audiences.empty() && !kept.has(Attribute::kAud))
    return fail(ErrorCode::kConfig,
                "a grant selects by audiences, and the lane does not keep aud: name it under the "
                "lane's attributes");
  if (!out.clients.empty() && !kept.has(Attribute::kClient))
    return fail(ErrorCode::kConfig,
                "a grant selects by clients, and the lane does not keep client: name it under the "
                "lane's attributes");
  return out;
}

Result<RegistryLaneConfig> load_lane(const config::Section& section,
                                     std::string_view trust_domain) {
  // Defaults of the schema do not reach into lists.
  const auto number = [&](const char* name, uint64_t otherwise) {
    return section.has(name) ? section.size(name) : otherwise;
  };
  constexpr uint64_t kLifeMaxS = 86'400, kHardS = 900, kTokensMax = 1'000'000, kRate = 2'000;
  RegistryLaneConfig out;
  out.name = section.text("name");
  const uint64_t life_s = number("life_max_s", kLifeMaxS);
  out.terms = {.hard_s = number("hard_s", kHardS),
               .serves = section.text_or_empty("on_hard") == "serve",
               .life_s = life_s};
  Attributes kept = Attributes::all();
  if (section.has("attributes")) {
    NOTP_ASSIGN(kept, Attributes::parse(section.texts("attributes")));
  }
  out.rules = {.life_max_s = static_cast<int64_t>(life_s),
               .attributes = kept,
               .tokens_max = number("tokens_max", kTokensMax)};
  out.source_rate = number("source_rate", kRate);
  for (const config::Section& entry : section.sections("grants")) {
    NOTP_ASSIGN(Grant grant, load_grant(entry, kept, trust_domain));
    out.grants.push_back(std::move(grant));
  }
  return out;
}

}  // namespace

Result<std::optional<LanesConfig>> load_lanes(const config::Section& root,
                                              std::string_view trust_domain) {
  if (!root.has("lanes")) return std::nullopt;
  const config::Section section = root.section("lanes");
  LanesConfig out;
  out.key = section.text("key");
  for (const config::Section& entry : section.sections("lanes")) {
    auto lane = load_lane(entry, trust_domain);
    if (!lane)
      return std::unexpected(
          std::move(lane).error().in(fmt::format("lanes.lanes, {}", entry.text("name"))));
    out.lanes.push_back(*std::move(lane));
  }
  std::ranges::sort(out.lanes, {}, &RegistryLaneConfig::name);
  const auto twice = std::ranges::adjacent_find(out.lanes, {}, &RegistryLaneConfig::name);
  if (twice != out.lanes.end())
    return fail(ErrorCode::kConfig,
                fmt::format("lanes.lanes has two entries of the name {}", twice->name));
  return out;
}

Result<PrivateKey> read_lane_key(const std::filesystem::path& file) {
  NOTP_ASSIGN(const Bytes pem, read_private_file(file, limits::kPemBytesMax));
  auto key = PrivateKey::from_pem(pem);
  if (!key)
    return fail(ErrorCode::kConfig, fmt::format("{}: {}", file.string(), key.error().message));
  return key;
}

}  // namespace notp::lane
