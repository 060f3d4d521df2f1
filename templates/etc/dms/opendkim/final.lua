-- OpenDKIM runs this at the end of each message, see opendkim-lua(3). dmsinit writes this file.
-- A second From field (RFC 5322 allows one) shows readers another author than the one that was verified.
if odkim.get_header(ctx, "From", 1) ~= nil then
  odkim.set_reply(ctx, "550", "5.7.1", "more than one From field")
  odkim.set_result(ctx, SMFIS_REJECT)
end
return nil
