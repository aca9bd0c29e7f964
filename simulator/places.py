"""Postcode areas with their post town, streets, and the words employers are named with.

Area letters, post towns and highest district numbers are real; sector, unit and street are drawn, so an address is
plausible and belongs to nobody.
"""

from __future__ import annotations

import numpy as np

from simulator.text import lexicon

AREAS = (
    "AB Aberdeen 16 5,B Birmingham 38 26,BA Bath 8 5,BB Blackburn 9 8,BD Bradford 20 13,BH Bournemouth 25 9,"
    "BL Bolton 9 8,BN Brighton 27 12,BR Bromley 8 5,BS Bristol 40 17,BT Belfast 48 24,CA Carlisle 16 5,"
    "CB Cambridge 11 6,CF Cardiff 41 18,CH Chester 8 9,CM Chelmsford 9 9,CO Colchester 9 6,CR Croydon 9 8,"
    "CT Canterbury 21 8,CV Coventry 12 12,DD Dundee 11 5,DE Derby 15 12,DH Durham 9 5,DL Darlington 8 6,"
    "DN Doncaster 22 13,DT Dorchester 11 4,DY Dudley 9 8,E London 18 18,EH Edinburgh 17 16,EN Enfield 9 6,"
    "EX Exeter 24 8,FK Falkirk 10 4,FY Blackpool 8 6,G Glasgow 46 22,GL Gloucester 20 9,GU Guildford 35 8,"
    "HA Harrow 9 8,HD Huddersfield 9 5,HP Hemel&Hempstead 23 7,HR Hereford 9 3,HU Hull 17 8,HX Halifax 7 4,"
    "IG Ilford 11 6,IP Ipswich 24 8,IV Inverness 19 3,KA Kilmarnock 13 6,KT Kingston 24 6,KY Kirkcaldy 16 6,"
    "L Liverpool 36 18,LA Lancaster 9 5,LE Leicester 19 15,LL Wrexham 20 8,LN Lincoln 13 5,LS Leeds 29 17,"
    "LU Luton 7 6,M Manchester 35 22,ME Medway 20 10,MK Milton&Keynes 17 8,ML Motherwell 12 7,N London 22 13,"
    "NE Newcastle 39 19,NG Nottingham 25 18,NN Northampton 18 9,NP Newport 26 9,NR Norwich 31 9,NW London 11 9,"
    "OL Oldham 16 9,OX Oxford 20 7,PA Paisley 19 6,PE Peterborough 38 11,PL Plymouth 35 9,PO Portsmouth 22 11,"
    "PR Preston 9 9,RG Reading 31 8,RM Romford 20 9,S Sheffield 36 21,SA Swansea 20 12,SE London 28 17,"
    "SK Stockport 17 9,SN Swindon 16 7,SO Southampton 31 10,SR Sunderland 8 7,SS Southend 17 8,"
    "ST Stoke-on-Trent 21 12,SW London 20 10,TA Taunton 24 5,TN Tonbridge 40 7,TQ Torquay 14 5,TR Truro 27 5,"
    "TS Middlesbrough 27 12,UB Southall 11 7,W London 14 6,WA Warrington 16 10,WD Watford 25 4,"
    "WF Wakefield 17 9,WN Wigan 8 7,WS Walsall 15 8,WV Wolverhampton 16 9,YO York 43 8"
)
"""Postcode area, post town, highest district, weight."""
_rows = [row.split(" ") for row in AREAS.split(",")]
_outward = [(letters, district, town.replace("&", " "), float(weight) / int(last))
            for letters, town, last, weight in _rows for district in range(1, int(last) + 1)]  # fmt: skip
OUTWARD = lexicon([f"{letters}{district}" for letters, district, _, _ in _outward])
TOWN = lexicon([town for _, _, town, _ in _outward])
OUTWARD_CDF = np.cumsum([weight for *_, weight in _outward])
OUTWARD_CDF /= OUTWARD_CDF[-1]
_UNIT = "ABDEFGHJLNPQRSTUWXYZ"
INWARD = lexicon([f"{sector}{a}{b}" for sector in range(1, 10) for a in _UNIT for b in _UNIT])

_STREET_WORDS = (
    "High Station Church Victoria Park Mill Queens Albert Manor School Chapel Green Windsor York Springfield "
    "Alexandra Grange Oak Elm Ash Beech Cedar Willow Hawthorn Birch Maple Rowan Orchard Meadow Brook River Bridge "
    "Highfield Moor Castle Priory Abbey Kingsway Northgate Westfield Eastgate Southfield Clarence Salisbury "
    "Wellington Nelson Waterloo Cromwell Milton Byron Tennyson Ruskin Garden Vicarage Quarry Colliery Forge Foundry "
    "Railway Canal"
)
_STREET_KINDS = ("Road", "Street", "Avenue", "Close", "Lane", "Drive", "Terrace", "Gardens", "Crescent", "Court")
STREET = lexicon([f"{word} {kind}" for word in _STREET_WORDS.split() for kind in _STREET_KINDS])

_TRADES = (
    "Plumbing,Joinery,Catering,Cleaning Services,Motors,Electrical,Roofing,Hair Studio,Dental Care,"
    "Care Homes,Haulage,Taxis,Bakery,Fish Bar,Interiors,Flooring,Landscapes,Fabrications,Engineering,"
    "Events,Travel,Nurseries,Physiotherapy,Print,Security,Recruitment,Textiles,Packaging,Tyres,Pet Care,"
    "Fitness,Accountancy,Opticians,Scaffolding,Brewing,Hotels,Inns,Lettings,Media,Software"
)
TRADE = lexicon(_TRADES.split(","))
COMPANY_ENDING = lexicon(["Ltd", "Ltd", "Ltd", "Limited", "LLP", "& Sons Ltd", "& Co", "(UK) Ltd", "Group Ltd"])
