#include "common/rego/host/activation.hpp"

#include <algorithm>

#include "common/json/json.hpp"
#include "common/limits.hpp"

namespace notp::rego {
namespace {

// Returns the keys of `before` that `after` lacks.
template <typename Map>
void put_gone(Bytes& out, const Map* before, const Map& after) {
  std::vector<std::string_view> gone;
  if (before != nullptr)
    for (const auto& [key, value] : *before)
      if (!after.contains(key)) gone.push_back(key);
  put_u32(out, static_cast<uint32_t>(gone.size()));
  for (const auto key : gone) put_str(out, key);
}

// Returns the entries of `after` that are new or differ.
template <typename Map>
std::vector<typename Map::const_pointer> changed_in(const Map* before, const Map& after) {
  std::vector<typename Map::const_pointer> changed;
  for (const auto& entry : after) {
    if (before != nullptr) {
      const auto old = before->find(entry.first);
      if (old != before->end() && old->second == entry.second) continue;
    }
    changed.push_back(&entry);
  }
  return changed;
}

void put_module(Bytes& out, const std::string& key, const SnapshotModule& module) {
  put_str(out, key);
  out += module.hash.view();
  out.push_back(static_cast<char>(module.rego_version));
  out.push_back(module.withheld ? 1 : 0);
  put_u16(out, module.ledger);
}

void put_document(Bytes& out, const std::string& key, const SnapshotDocument& document) {
  put_str(out, key);
  put_u16(out, static_cast<uint16_t>(document.mount.size()));
  for (const auto& segment : document.mount) put_str(out, segment);
  out += document.hash.view();
  put_u16(out, document.ledger);
}

std::string capabilities_of(const SnapshotLedger& ledger) {
  if (ledger.allow.empty()) return {};
  json::array allow(ledger.allow.begin(), ledger.allow.end());
  return json::serialize(json::object{{"allow", std::move(allow)}});
}

std::string text_in(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

int row_in(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  const bool is_number = value != nullptr && value->is_int64();
  return is_number ? static_cast<int>(std::clamp<int64_t>(value->get_int64(), 0, INT32_MAX)) : 0;
}

}  // namespace

Activation plan_activation(uint64_t number, const Snapshot& target, uint64_t base_number,
                           const Snapshot* base, bool is_accepted) {
  Activation plan;
  std::set<Hash> needed;
  const auto need = [&](ContentNeed content) {
    if (needed.insert(content.hash).second) plan.needs.push_back(std::move(content));
  };
  Bytes& out = plan.payload;
  put_u64(out, number);
  put_u64(out, base == nullptr ? 0 : base_number);
  put_gone(out, base == nullptr ? nullptr : &base->modules, target.modules);
  const auto modules = changed_in(base == nullptr ? nullptr : &base->modules, target.modules);
  put_u32(out, static_cast<uint32_t>(modules.size()));
  for (const auto* entry : modules) {
    put_module(out, entry->first, entry->second);
    need({entry->second.hash, true, {}, {}});
  }
  put_gone(out, base == nullptr ? nullptr : &base->documents, target.documents);
  const auto documents = changed_in(base == nullptr ? nullptr : &base->documents, target.documents);
  put_u32(out, static_cast<uint32_t>(documents.size()));
  for (const auto* entry : documents) {
    const SnapshotDocument& document = entry->second;
    put_document(out, entry->first, document);
    std::optional<Hash> before;
    if (base != nullptr) {
      const auto old = base->documents.find(entry->first);
      if (old != base->documents.end() && old->second.format == DocumentFormat::kJson &&
          document.format == DocumentFormat::kJson)
        before = old->second.hash;
    }
    need({document.hash, false, document.format, before});
  }
  put_u32(out, static_cast<uint32_t>(target.ledgers.size()));
  for (const auto& ledger : target.ledgers) {
    put_str(out, ledger.name);
    put_str(out, capabilities_of(ledger));
  }
  const bool has_system = base == nullptr || base->system != target.system;
  out.push_back(has_system ? 1 : 0);
  put_str(out, has_system ? ByteView(target.system) : ByteView());
  out.push_back(is_accepted ? 1 : 0);
  return plan;
}

std::vector<ContentNeed> needs_of(const Snapshot& snapshot, const std::vector<Hash>& hashes) {
  const std::set<Hash> wanted(hashes.begin(), hashes.end());
  std::map<Hash, ContentNeed> needs;
  for (const auto& [key, module] : snapshot.modules)
    if (wanted.contains(module.hash))
      needs.emplace(module.hash, ContentNeed{module.hash, true, {}, {}});
  for (const auto& [key, document] : snapshot.documents)
    if (wanted.contains(document.hash))
      needs.emplace(document.hash, ContentNeed{document.hash, false, document.format, {}});
  std::vector<ContentNeed> found;
  for (auto& [hash, need] : needs) found.push_back(std::move(need));
  return found;
}

Result<std::vector<Hash>> decode_missing(ByteView json_text) {
  NOTP_ASSIGN(const auto value, parse_json(json_text));
  std::vector<Hash> hashes;
  if (value.is_array())
    for (const auto& each : value.get_array())
      if (each.is_string())
        if (const auto hash = Hash::from_hex(std::string_view(each.get_string())))
          hashes.push_back(*hash);
  if (hashes.empty()) return fail(ErrorCode::kMessage, "no hash is named");
  return hashes;
}

Error rejection_of(ByteView message) {
  std::string text;
  if (const auto findings = decode_findings(message))
    for (const auto& each : *findings) text += (text.empty() ? "" : "\n") + to_string(each);
  else
    text = message;
  return {ErrorCode::kPdpRejected, text, {}};
}

std::set<Hash> contents_of(const Snapshot& snapshot) {
  std::set<Hash> contents;
  for (const auto& [key, module] : snapshot.modules) contents.insert(module.hash);
  for (const auto& [key, document] : snapshot.documents) contents.insert(document.hash);
  return contents;
}

std::map<std::string, Hash> ledger_contents(const Snapshot& snapshot) {
  std::vector<Sha256> sums(snapshot.ledgers.size());
  Bytes piece;
  for (size_t i = 0; i < sums.size(); ++i) sums[i].update(capabilities_of(snapshot.ledgers[i]));
  for (const auto& [key, module] : snapshot.modules) {
    if (module.ledger >= sums.size()) continue;
    piece.clear();
    put_module(piece, key, module);
    sums[module.ledger].update(piece);
  }
  for (const auto& [key, document] : snapshot.documents) {
    if (document.ledger >= sums.size()) continue;
    piece.clear();
    put_document(piece, key, document);
    sums[document.ledger].update(piece);
  }
  std::map<std::string, Hash> contents;
  for (size_t i = 0; i < sums.size(); ++i) contents[snapshot.ledgers[i].name] = sums[i].finish();
  return contents;
}

uint64_t document_bytes(const Snapshot& snapshot) {
  uint64_t bytes = 0;
  for (const auto& [key, document] : snapshot.documents) bytes += document.bytes;
  return bytes;
}

Result<std::vector<Diagnostic>> decode_findings(ByteView json_text) {
  NOTP_ASSIGN(const auto value, parse_json(json_text));
  if (!value.is_array()) return fail(ErrorCode::kMessage, "findings are not an array");
  std::vector<Diagnostic> findings;
  for (const auto& each : value.get_array()) {
    if (!each.is_object() || findings.size() >= limits::kFindingsMax) continue;
    const auto& object = each.get_object();
    const auto* warning = object.if_contains("warning");
    findings.push_back({text_in(object, "path"), row_in(object, "row"), row_in(object, "col"),
                        text_in(object, "code"), text_in(object, "message"),
                        warning != nullptr && warning->is_bool() && warning->get_bool()});
  }
  return findings;
}

}  // namespace notp::rego
