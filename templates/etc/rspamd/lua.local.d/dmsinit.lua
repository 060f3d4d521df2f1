-- Rules of this image. dmsinit writes this file; other *.lua files beside it are read as well.

-- The name under which Postfix hands over what this server writes itself (master.cf, milter_macro_defaults).
local INTERNAL = "internal/"

local function is_internal(task)
  local user = task:get_user()
  return user ~= nil and user:sub(1, #INTERNAL) == INTERNAL
end

-- A reader sees one author, and nobody can say which of several was verified (RFC 5322 3.6, RFC 7489 6.6.1). Several authors
-- of one domain are allowed, and users of this server may write in the name of others.
rspamd_config:register_symbol({
  name = "DMS_SEVERAL_AUTHORS",
  type = "prefilter",
  flags = "explicit_disable", -- what is not judged is asked this all the same (settings.conf)
  group = "headers",
  description = "More than one From field, or authors of different domains",
  callback = function(task)
    if is_internal(task) then
      return false
    end
    if (task:get_header_count("From") or 0) > 1 then
      task:set_pre_result({ action = "reject", message = "more than one From field", module = "dmsinit" })
      return true
    end
    local authors = task:get_user() == nil and task:get_from("mime") or {}
    for _, author in ipairs(authors) do
      if (author.domain or ""):lower() ~= (authors[1].domain or ""):lower() then
        task:set_pre_result({ action = "reject", message = "authors of different domains in From", module = "dmsinit" })
        return true, author.domain
      end
    end
    return false
  end,
})

-- What a Sieve script forwards comes through Postfix' sendmail, as the answers do that it writes. Its author is not verified
-- any more at this place: only what has come by no server before is signed.
rspamd_config:add_condition("DKIM_SIGNED", function(task)
  return not (is_internal(task) and (task:get_header_count("Received") or 0) > 0)
end)

-- The domain that signs (local.d/dkim_signing.conf): that of the author, or the next one above it that has a key, as with
-- OpenDKIM. Bounces come from the name of the host. Without a key of either, Rspamd's own way goes on.
local function has_key(options, domain)
  return type(options.domain) == "table" and options.domain[domain] ~= nil
end

local function first_domain(addresses)
  return addresses and addresses[1] and addresses[1].domain
end

local sources = {
  header = function(task) return first_domain(task:get_from("mime")) end,
  envelope = function(task) return first_domain(task:get_from("smtp")) end,
  recipient = function(task) return first_domain(task:get_recipients(0)) end,
  auth = function(task) return (task:get_user() or ""):match("@(.*)") end,
}

function dms_signing_domain(task)
  local options = rspamd_config:get_all_opt("dkim_signing") or {}
  local source = options.use_domain or "header"
  local from = source
  if sources[source] then
    from = sources[source](task)
  end
  if not from then
    return nil
  end
  local domain = from:lower()
  while domain do
    if has_key(options, domain) then
      return domain
    end
    domain = domain:match("^[^.]+%.(.+)$")
  end
  return from:lower()
end
