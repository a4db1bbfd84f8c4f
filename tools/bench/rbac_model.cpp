#include "tools/bench/rbac_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "common/json/json.hpp"
#include "common/storage/files.hpp"
#include "tools/bench/corpus_text.hpp"

namespace notp::bench {
namespace {

constexpr size_t kUsers = 1'000, kRoles = 24, kTenants = 40, kGrantsOfRole = 6;
constexpr std::array<std::string_view, 6> kActions = {"read",    "list",   "create",
                                                      "approve", "update", "delete"};
constexpr std::array<std::string_view, 8> kTypes = {"invoice", "payment", "account", "report",
                                                    "refund",  "dispute", "mandate", "statement"};
constexpr std::array<std::string_view, 5> kDepartments = {"payments", "treasury", "support", "risk",
                                                          "audit"};
constexpr unsigned kLikelyPercent = 60, kStrangerPercent = 3;

const std::string kStampPath = "notp_bench/stamp.rego", kMarkPath = "notp_bench/mark/data.json";

constexpr std::string_view kPolicy = R"(package authzen

default allow := false

allow if {
	granted
	input.resource.properties.tenant in user.tenants
}

granted if {
	some role in user.roles
	some grant in data.notp_bench.roles[role]
	grant.action == input.action.name
	grant.type == input.resource.type
}

user := data.notp_bench.users[input.subject.id]

stamped := {
	"allow": allow,
	"rule": data.notp_bench.stamp.number,
	"document": data.notp_bench.mark.number,
}
)";

constexpr std::string_view kEndless = R"(package notp_bench.endless

many := numbers.range(1, 10000)

holds if {
	some a in many
	some b in many
	some c in many
	(a + b) + c == 0
}
)";

constexpr std::string_view kCostly = R"(package notp_bench.costly

many := numbers.range(1, 100)

holds if {
	count([1 | some a in many; some b in many; a + b > 0]) == 10000
}
)";

std::string stamp_text(int64_t number) {
  return fmt::format("package notp_bench.stamp\n\nnumber := {}\n", number);
}

std::string mark_text(int64_t number) { return fmt::format("{{\"number\": {}}}\n", number); }

std::string user_name(size_t user) { return fmt::format("user-{:04}", user); }
std::string role_name(size_t role) { return fmt::format("role-{:02}", role); }
std::string tenant_name(size_t tenant) { return fmt::format("tenant-{:02}", tenant); }

json::array names(const std::vector<size_t>& numbers, std::string (*name)(size_t)) {
  json::array out;
  for (const size_t number : numbers) out.emplace_back(name(number));
  return out;
}

template <typename List, typename Value>
bool has(const List& list, const Value& value) {
  return std::ranges::find(list, value) != list.end();
}

// Draws `count` different numbers below `bound`.
std::vector<size_t> draw_some(Chance& chance, size_t count, size_t bound) {
  std::vector<size_t> out;
  while (out.size() < count)
    if (const size_t one = chance.below(bound); !has(out, one)) out.push_back(one);
  return out;
}

Result<std::string> manifest() {
  NOTP_ASSIGN(json::value manifest, parse_json(manifest_text()));
  json::array roots;
  for (const std::string& root : RbacModel::roots()) roots.emplace_back(root);
  manifest.as_object()["roots"] = std::move(roots);
  return pretty_json(manifest) + "\n";
}

}  // namespace

std::vector<std::string> RbacModel::roots() { return {"authzen", "notp_bench"}; }

void RbacModel::draw() {
  Chance chance(seed_);
  for (size_t role = 0; role < kRoles; ++role) {
    roles_.emplace_back();
    for (const size_t pair : draw_some(chance, kGrantsOfRole, kActions.size() * kTypes.size()))
      roles_.back().push_back({pair / kTypes.size(), pair % kTypes.size()});
  }
  for (size_t user = 0; user < kUsers; ++user)
    users_.push_back({draw_some(chance, 1 + chance.below(4), kRoles),
                      draw_some(chance, 1 + chance.below(3), kTenants)});
}

std::string RbacModel::users_text() const {
  json::object out;
  for (size_t user = 0; user < users_.size(); ++user)
    out[user_name(user)] = json::object{{"roles", names(users_[user].roles, role_name)},
                                        {"tenants", names(users_[user].tenants, tenant_name)}};
  return json::serialize(out);
}

std::string RbacModel::roles_text() const {
  json::object out;
  for (size_t role = 0; role < roles_.size(); ++role) {
    json::array grants;
    for (const Grant& grant : roles_[role])
      grants.push_back(
          json::object{{"action", kActions[grant.action]}, {"type", kTypes[grant.type]}});
    out[role_name(role)] = std::move(grants);
  }
  return json::serialize(out);
}

Result<std::unique_ptr<RbacModel>> RbacModel::make(const std::filesystem::path& folder,
                                                   uint64_t seed) {
  std::unique_ptr<RbacModel> model(new RbacModel(folder, seed));
  model->draw();
  NOTP_TRY(make_folders(folder));
  NOTP_ASSIGN(const std::string manifest_json, manifest());
  for (const auto& [path, text] :
       {std::pair<std::string, std::string>{"manifest.json", manifest_json},
        {"authzen/policy.rego", std::string(kPolicy)},
        {"notp_bench/endless.rego", std::string(kEndless)},
        {"notp_bench/costly.rego", std::string(kCostly)},
        {"notp_bench/users/data.json", model->users_text()},
        {"notp_bench/roles/data.json", model->roles_text()},
        {kStampPath, stamp_text(0)},
        {kMarkPath, mark_text(0)}})
    NOTP_TRY(model->files_.write(path, text));
  NOTP_TRY(model->files_.load());
  return model;
}

Result<void> RbacModel::set_release(int64_t number) {
  NOTP_TRY(files_.replace(kStampPath, stamp_text(number)));
  return files_.replace(kMarkPath, mark_text(number));
}

bool RbacModel::allows(const User& user, const Grant& grant, size_t tenant) const {
  return has(user.tenants, tenant) &&
         std::ranges::any_of(user.roles, [&](size_t role) { return has(roles_[role], grant); });
}

std::vector<RbacQuestion> RbacModel::questions(size_t count) const {
  Chance chance(seed_ + 1);
  std::vector<RbacQuestion> out;
  while (out.size() < count) {
    const size_t number = chance.below(users_.size());
    const User& user = users_[number];
    Grant grant{chance.below(kActions.size()), chance.below(kTypes.size())};
    size_t tenant = chance.below(kTenants);
    if (chance.percent(kLikelyPercent)) {
      grant = chance.pick(roles_[chance.pick(user.roles)]);
      tenant = chance.pick(user.tenants);
    }
    const uint64_t address = chance.below(1 << 24);
    const bool is_stranger = chance.percent(kStrangerPercent);
    const json::object input{
        {"subject",
         {{"type", "user"},
          {"id", is_stranger ? "user-unknown" : user_name(number)},
          {"properties", {{"department", chance.pick(kDepartments)}}}}},
        {"action", {{"name", kActions[grant.action]}}},
        {"resource",
         {{"type", kTypes[grant.type]},
          {"id", fmt::format("{}-{}", kTypes[grant.type], chance.hex(8))},
          {"properties", {{"tenant", tenant_name(tenant)}}}}},
        {"context",
         {{"ip", fmt::format("10.{}.{}.{}", address >> 16, (address >> 8) % 256, address % 256)},
          {"time", make_timestamp(chance)}}}};
    out.push_back({json::serialize(input), !is_stranger && allows(user, grant, tenant)});
  }
  return out;
}

}  // namespace notp::bench
