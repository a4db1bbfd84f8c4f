// Data documents of a model: their places, their parsing, and their merge into one document.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/json/json.hpp"
#include "common/json/json_changes.hpp"
#include "protocol/model/tree.hpp"

namespace notp::model {

using DataPath = std::vector<std::string>;  // segments; a document's names may have any character

bool is_data_file(std::string_view path);
// Returns the data path of a file: its folder.
DataPath data_path_of(std::string_view file);
// Joins segments by '.', for people.
std::string data_path_text(const DataPath& path);

// Parses JSON or YAML, depending on the name. kMessage with line and column, kLimit.
Result<json::value> parse_data_file(std::string_view path, ByteView content);

// Returns the values of `changed` that differ from `accepted`, an earlier version at the same path
// that parse_json() accepted and that is nested at most `depth_max` levels, when `changed` meets
// the same rules; only those values were checked for the rules of parse_json(). nullopt: the caller
// parses the whole, which may be wrong, or differ too much for this to be quicker. Linear in both
// sizes.
std::optional<std::vector<ChangedMember>> check_changed(ByteView accepted, ByteView changed,
                                                        size_t depth_max);

inline constexpr std::string_view kTopMustBeObject =
    "the data document at the top of a model must be an object";

// Levels of nesting: 0 for a scalar.
size_t depth_of(const json::value& value);

// Merges documents as OPA does when it loads a folder: objects join; any other overlap is a clash,
// equal or not. A document at the top must be an object.
class DataMerge {
 public:
  // Returns the place of a clash with the merged documents; nullopt when the document fits. After a
  // clash a part of it may have been merged.
  std::optional<DataPath> add(const DataPath& at, json::value document);
  // Returns the merged document; the object must not be used afterwards.
  json::value take() { return std::move(merged_); }

 private:
  json::value merged_ = json::object();
};

// Returns the first data file before `file` that has a value at `at`: the other side of a clash.
Result<std::string> clash_partner(const Tree& tree, const BlobLoader& load, std::string_view file,
                                  const DataPath& at);

}  // namespace notp::model
