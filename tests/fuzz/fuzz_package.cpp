// The package of a module from a publisher who wants another one: what is read, written in another
// way, is read again, whatever stands around it.
#include <algorithm>
#include <string>

#include "common/assert.hpp"
#include "common/json/json.hpp"
#include "protocol/model/package.hpp"

namespace {

using namespace notp;

std::string clause(const model::DataPath& path) {
  std::string out = "package " + path.front();
  for (size_t i = 1; i < path.size(); ++i) out += "[" + json::serialize(json::value(path[i])) + "]";
  return out;
}

bool is_utf8(const model::DataPath& path) {
  return std::ranges::all_of(path, [](const std::string& segment) {
    return parse_json(json::serialize(json::value(segment))).has_value();
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto path = model::package_of(text);
  if (!path) return 0;
  NOTP_ASSERT(!path->empty() && !path->front().empty(), "a package has a name");
  NOTP_ASSERT(path->front() != "_", "a package has a name that OPA keeps");
  NOTP_ASSERT(model::package_of("# package x\r\n" +
                                text.substr(text.starts_with("\xEF\xBB\xBF") * 3)) == path,
              "what stands before it does not matter");
  NOTP_ASSERT(model::package_of(text + "\n[\"x\"]") == path, "what follows does not matter");
  if (is_utf8(*path)) NOTP_ASSERT(model::package_of(clause(*path)) == path, "it is read again");
  return 0;
}
