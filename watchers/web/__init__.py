"""The web console: pages made on the server, kept up to date by server-sent events, and edits by way of commits.

    etcd ◄── Sight: one task that looks and watches ──► pages, streams
      ▲
      └──── commit ◄── confirm ◄── difference, brakes ◄── merge ◄── form or text

What is typed travels in the page until it is committed, so the console keeps nothing of an edit. It knows sessions (in
its memory) and users (in etcd). Nothing is loaded from elsewhere.
"""
