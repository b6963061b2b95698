"""Finished exports come home: from Google Drive or Cloud Storage into a local folder.

Google's own clients list the files and make the addresses; their bytes travel over google-auth's session, in parallel pieces.
"""
